"""Latency of several networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from math import isfinite, nan
from statistics import median, quantiles
from typing import Any, ClassVar

from ghostify.report.changes import latency_change
from ghostify.report.document import Column, Document, Table, numeric, si
from ghostify.report.formats import Printable
from ghostify.report.svg import meter_svg
from ghostify.types.constraints import NonNegativeInt, PositiveInt
from ghostify.types.errors import GhostifyError
from ghostify.types.serialization import Serializable


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and quartiles.

    Raises:
        GhostifyError: if they are not positive numbers in ascending order.
    """

    median: float
    lower: float
    upper: float

    def __post_init__(self) -> None:
        numbers = (self.lower, self.median, self.upper)
        if not all(isfinite(n) and n > 0 for n in numbers) or sorted(numbers) != list(numbers):
            raise GhostifyError(f"{self} must be positive numbers, the median between the others")

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return median and quartiles of one or more values."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        lower, _, upper = quantiles(values, n=4, method="inclusive")
        return cls(median(values), lower, upper)


@dataclass(frozen=True, slots=True)
class Measurement:
    """Latency of one network in one setting.

    Attributes:
        model: name of the network.
        runtime: name of the runtime, such as ``onnxruntime``.
        batch: batch size.
        threads: number of threads.
        rounds: number of runs, interleaved with those of the other networks.
        seconds: time of one run.
        speedup: time of the first network divided by this one's, round by round.
        memory: peak memory in bytes; None if unknown.
        version: version of the runtime; empty if unknown.
        device: model of the processor; empty if unknown.
    """

    model: str
    runtime: str
    batch: PositiveInt
    threads: PositiveInt
    rounds: PositiveInt
    seconds: Spread
    speedup: Spread
    memory: NonNegativeInt | None = None
    version: str = ""
    device: str = ""

    @property
    def setting(self) -> tuple[str, str, str]:
        """Runtime, batch size and threads in words."""
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return self.runtime, f"batch {self.batch}", threads


@dataclass(frozen=True, slots=True)
class Timing(Serializable, Printable):
    """Latency of networks, compared with the first. ``print(timing)`` shows tables.

    Attributes:
        input: shapes of the example, such as ``1x3x224x224``.
        macs: MACs of convolutions and linear layers for one example, by network.
        memory: what the measured memory is.
        measurements: in the order of measuring.

    Raises:
        GhostifyError: if ``macs`` is empty or lacks a measured network.
    """

    _format: ClassVar[str] = "ghostify-timing/1"

    input: str
    macs: Mapping[str, NonNegativeInt]
    memory: str
    measurements: tuple[Measurement, ...]

    def __post_init__(self) -> None:
        if not self.macs:
            raise GhostifyError("`macs` must name at least one network")
        for measurement in self.measurements:
            if measurement.model not in self.macs:
                raise GhostifyError(f"`macs` lacks the measured network {measurement.model!r}")

    @property
    def first(self) -> str:
        """Name of the network that the others are compared with."""
        return next(iter(self.macs))

    @property
    def title(self) -> str:
        """Networks and input."""
        return f"{' and '.join(self.macs)}, input {self.input}"

    @property
    def devices(self) -> str:
        """Models of the processors; empty if unknown."""
        return ", ".join(dict.fromkeys(m.device for m in self.measurements if m.device))

    @property
    def measured_on(self) -> str:
        """Processors, and runtimes with their versions; empty if unknown."""
        versions = [f"{m.runtime} {m.version}" for m in self.measurements if m.version]
        return ", ".join(filter(None, dict.fromkeys([self.devices, *versions])))

    def macs_ratio(self, model: str) -> float:
        """Return the first network's MACs divided by this one's."""
        return self.macs[self.first] / self.macs[model] if self.macs[model] else nan

    def realized(self, measurement: Measurement) -> float:
        """Return speed-up divided by MACs ratio; 1 if time fell as much as MACs did."""
        return measurement.speedup.median / self.macs_ratio(measurement.model)

    def pairs(self) -> list[tuple[Measurement, Measurement]]:
        """Pair the measurements of the first and the last network in each setting."""
        last = list(self.macs)[-1]
        pairs = []
        for _, group in groupby(self.measurements, lambda m: m.setting):
            by_model = {m.model: m for m in group}
            if last != self.first and {self.first, last} <= by_model.keys():
                pairs.append((by_model[self.first], by_model[last]))
        return pairs

    def document(self) -> Document:
        """Return a table of MACs and one of latencies for each runtime and batch size."""
        groups = dict.fromkeys((m.runtime, m.batch) for m in self.measurements)
        notes = ["ms: median of a run, with quartiles.", f"memory: {self.memory}."]
        notes += [f"measured on: {self.measured_on}."] if self.measured_on else []
        if len(self.macs) > 1:
            notes = [
                f"speed-up: time of {self.first} divided by the network's, round by round; median.",
                "realized: speed-up / MACs ratio; 100 %: time fell as much as MACs did.",
                *notes,
            ]
        return Document(
            title=self.title,
            tables=(self._macs_table(), *(self._latency_table(*group) for group in groups)),
            notes=tuple(notes),
            records=tuple(map(self._record, self.measurements)),
            data=self.to_dict(),
        )

    def charts(self) -> Sequence[tuple[str, str]]:
        """Return a bar for each speed-up, with a mark at the MACs ratio."""
        others = [m for m in self.measurements if m.model != self.first]
        most = max([1.0, *(max(m.speedup.median, self.macs_ratio(m.model)) for m in others)])
        charts = []
        for m in others:
            speedup, ratio = m.speedup.median, self.macs_ratio(m.model)
            change = latency_change(speedup).text
            caption = f"{m.model} against {self.first}, {', '.join(m.setting)}: {change}"
            charts.append((caption, meter_svg(speedup, ratio, most, caption, base=1)))
        return charts

    def _macs_table(self) -> Table:
        macs = self.macs.items()
        rows = tuple((model, si(n, 4), f"{self.macs_ratio(model):.2f}x") for model, n in macs)
        columns = (Column("network"), *numeric("MACs", "ratio"))
        return Table("MACs, convolutions + linear", columns, rows)

    def _latency_table(self, runtime: str, batch: int) -> Table:
        measured = [m for m in self.measurements if (m.runtime, m.batch) == (runtime, batch)]
        compared = len(self.macs) > 1
        headings = ["threads", "ms", *(["speed-up", "realized"] if compared else []), "memory"]
        rows = []
        for m in measured:
            ms = [f"{1000 * s:.3g}" for s in (m.seconds.median, m.seconds.lower, m.seconds.upper)]
            cells = [str(m.threads), "{} ({}–{})".format(*ms)]
            if compared:
                cells += [f"{m.speedup.median:.2f}x", f"{self.realized(m):.0%}"]
            rows.append((m.model, *cells, "-" if m.memory is None else f"{si(m.memory)}B"))
        numbers = sorted({m.rounds for m in measured})
        rounds = " to ".join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))
        columns = (Column("network"), *numeric(*headings))
        return Table(f"{runtime}, batch {batch}: {rounds} rounds", columns, tuple(rows))

    def _record(self, measurement: Measurement) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for key, value in asdict(measurement).items():
            entries = value.items() if isinstance(value, dict) else ()
            record |= {f"{key}_{name}": entry for name, entry in entries} or {key: value}
        ratio, realized = self.macs_ratio(measurement.model), self.realized(measurement)
        return record | {"macs_ratio": ratio, "realized": realized}
