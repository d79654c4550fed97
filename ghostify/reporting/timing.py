"""How long networks take, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from statistics import median, quantiles
from typing import Any

from ghostify.spec.errors import GhostifyError
from ghostify.spec.parsing import construct, parse_json
from ghostify.spec.readable import readable_json

_FORMAT = "ghostify-timing/1"


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of many numbers, and the quartiles around it.

    Raises:
        GhostifyError: if they are no positive numbers in order.
    """

    median: float
    lower: float
    upper: float

    def __post_init__(self) -> None:
        numbers = (self.lower, self.median, self.upper)
        real = all(isinstance(n, (int, float)) and isfinite(n) and n > 0 for n in numbers)
        if not real or sorted(numbers) != list(numbers):
            raise GhostifyError(f"{self} must be positive numbers, the median between the others")

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """That of ``values``, of which there is one at least."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        lower, _, upper = quantiles(values, n=4, method="inclusive")
        return cls(median(values), lower, upper)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One network in one runtime.

    Attributes:
        model: its name.
        runtime: a name of `runtimes.RUNTIMES`.
        batch: inputs in one run.
        threads: of the runtime.
        rounds: how often it ran, in turns with the others.
        seconds: of one run.
        speedup: the first network's time over this one's, round by round.
        memory: bytes at the peak, or None where that cannot be had.
    """

    model: str
    runtime: str
    batch: int
    threads: int
    rounds: int
    seconds: Spread
    speedup: Spread
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Networks side by side; the first is what the others are compared with.

    Attributes:
        input: shapes of the example, such as ``1x3x224x224``.
        macs: by network, of its convolutions and linear layers, for one example.
        memory: what the bytes of the measurements are.
        measurements: in the order they were made.

    Raises:
        GhostifyError: if a measurement is of a network that ``macs`` lacks.
    """

    input: str
    macs: Mapping[str, int]
    memory: str
    measurements: tuple[Measurement, ...]

    def __post_init__(self) -> None:
        for measurement in self.measurements:
            if measurement.model not in self.macs:
                raise GhostifyError(f"'macs' lacks {measurement.model!r}, which was measured")

    def macs_ratio(self, model: str) -> float:
        """The first network's MACs over this one's."""
        first = next(iter(self.macs.values()))
        return first / self.macs[model] if self.macs[model] else float("nan")

    def realised(self, measurement: Measurement) -> float:
        """Which part of the MACs ratio became speed: 1 is all of it."""
        return measurement.speedup.median / self.macs_ratio(measurement.model)

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            "format": _FORMAT,
            "input": self.input,
            "macs": dict(self.macs),
            "memory": self.memory,
            "measurements": [asdict(measurement) for measurement in self.measurements],
        }

    def to_json(self) -> str:
        """JSON, made to be read."""
        return readable_json(self.to_dict(), depth=2) + "\n"

    def _repr_html_(self) -> str:
        from ghostify.reporting.notebook import to_notebook
        from ghostify.reporting.timings import list_timing, timing_meters

        return to_notebook(list_timing(self), timing_meters(self))

    @classmethod
    def from_dict(cls, data: Any) -> Timing:
        """Read what `to_dict` wrote.

        Raises:
            GhostifyError: saying what is wrong.
        """
        if not isinstance(data, Mapping) or data.get("format") != _FORMAT:
            raise GhostifyError(f'not a timing: "format" must be "{_FORMAT}"')
        fields = {key: value for key, value in data.items() if key != "format"}
        try:
            found = [_measurement(entry) for entry in fields.pop("measurements")]
            timing: Timing = construct(cls, fields | {"measurements": tuple(found)})
        except (KeyError, TypeError, AttributeError) as error:
            raise GhostifyError(f"not a timing: {error}") from error
        return timing

    @classmethod
    def from_json(cls, text: str) -> Timing:
        """Read what `to_json` wrote.

        Raises:
            GhostifyError: with the line of a syntax error, or what is wrong.
        """
        return cls.from_dict(parse_json(text, "timing"))


def _measurement(entry: Any) -> Measurement:
    spreads = {key: construct(Spread, entry[key]) for key in ("seconds", "speedup")}
    measurement: Measurement = construct(Measurement, {**entry, **spreads})
    return measurement
