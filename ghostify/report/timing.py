"""How long networks take, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from statistics import median, quantiles
from typing import Any, ClassVar

from ghostify.report.document import Column, Document, Table, si
from ghostify.report.plots import check_plot, write_plot
from ghostify.report.svg import meter_svg
from ghostify.types.errors import GhostifyError
from ghostify.types.serialization import Serializable


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
        if not all(isfinite(n) and n > 0 for n in numbers) or sorted(numbers) != list(numbers):
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
class Timing(Serializable):
    """Networks side by side; the first is what the others are compared with.

    Attributes:
        input: shapes of the example, such as ``1x3x224x224``.
        macs: by network, of its convolutions and linear layers, for one example.
        memory: what the bytes of the measurements are.
        measurements: in the order they were made.

    Raises:
        GhostifyError: if a measurement is of a network that ``macs`` lacks.
    """

    _noun: ClassVar[str] = "timing"
    _format: ClassVar[str] = "ghostify-timing/1"

    input: str
    macs: Mapping[str, int]
    memory: str
    measurements: tuple[Measurement, ...]

    def __post_init__(self) -> None:
        for measurement in self.measurements:
            if measurement.model not in self.macs:
                raise GhostifyError(f"`macs` lacks the measured network {measurement.model!r}")

    def macs_ratio(self, model: str) -> float:
        """The first network's MACs over this one's."""
        first = next(iter(self.macs.values()))
        return first / self.macs[model] if self.macs[model] else float("nan")

    def realised(self, measurement: Measurement) -> float:
        """Which part of the MACs ratio became speed: 1 is all of it."""
        return measurement.speedup.median / self.macs_ratio(measurement.model)

    def _repr_html_(self) -> str:
        from ghostify.report.formats import to_notebook

        return to_notebook(list_timing(self), timing_meters(self))


def list_timing(timing: Timing) -> Document:
    """A table of the MACs and one for each runtime and batch; one record a measurement."""
    first, *others = timing.macs
    groups = dict.fromkeys((m.runtime, m.batch) for m in timing.measurements)
    notes = ["ms: median of a run, with quartiles.", f"memory: {timing.memory}."]
    if others:
        notes = [
            f"speed-up: time of {first} over a network's own, round by round; median.",
            "realised: speed-up over the ratio of the MACs; 100% is all that they promise.",
            *notes,
        ]
    return Document(
        title=f"{' and '.join(timing.macs)}, input {timing.input}",
        tables=(_macs(timing), *(_times(timing, *group) for group in groups)),
        notes=tuple(notes),
        records=tuple(_record(timing, measurement) for measurement in timing.measurements),
        data=timing.to_dict(),
    )


def timing_meters(timing: Timing) -> list[tuple[str, str]]:
    """A bar of each speed-up, with a line where the ratio of the MACs is; caption and SVG."""
    first = next(iter(timing.macs))
    shown = [m for m in timing.measurements if m.model != first]
    most = max((max(m.speedup.median, timing.macs_ratio(m.model)) for m in shown), default=1)
    meters = []
    for m in shown:
        setting = _setting(m).replace("\n", ", ")
        said = f"{m.model} in {setting}: {m.speedup.median:.2f}x as fast as {first}"
        meters.append((said, meter_svg(m.speedup.median, timing.macs_ratio(m.model), most, said)))
    return meters


def plot_timing(timing: Timing, file: Path) -> None:
    """Bars of the speed-up, with the ratio of the MACs as a line; of one network, of its time.

    Raises:
        GhostifyError: as `check_plot` does.
        OSError: if the file cannot be written.
    """
    check_plot(file)
    from matplotlib.figure import Figure

    first, *others = timing.macs
    shown = others or [first]
    settings = list(dict.fromkeys(map(_setting, timing.measurements)))
    figure = Figure(figsize=(2 + len(settings) * max(1.1, 0.6 * len(shown)), 5),
                    layout="constrained")  # fmt: skip
    axes = figure.subplots()
    width = 0.8 / len(shown)
    for place, model in enumerate(shown):
        mine = [m for m in timing.measurements if m.model == model]
        shift = (place - (len(shown) - 1) / 2) * width
        places = [settings.index(_setting(m)) + shift for m in mine]
        spreads = [m.speedup if others else m.seconds for m in mine]
        middles = [s.median for s in spreads]
        errors = [[s.median - s.lower for s in spreads], [s.upper - s.median for s in spreads]]
        axes.bar(places, middles, width, yerr=errors, capsize=3, color=f"C{place}", label=model)
        for x, middle in zip(places, middles, strict=True):
            axes.annotate(f"{middle:.3g}", (x, 0), xytext=(0, 4), textcoords="offset points",
                          ha="center", color="white")  # fmt: skip
        if others:
            axes.axhline(timing.macs_ratio(model), color=f"C{place}", linestyle="--",
                         label=f"{model}: ratio of the MACs")  # fmt: skip
    if others:
        axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(settings)), settings)
    axes.set_ylabel(f"speed-up over {first}" if others else "seconds a run")
    axes.set_title(f"{' and '.join(timing.macs)}, input {timing.input}")
    figure.legend(loc="outside lower center", ncols=2)
    write_plot(figure, file)


def _setting(measurement: Measurement) -> str:
    threads = f"{measurement.threads} thread{'s' if measurement.threads > 1 else ''}"
    return f"{measurement.runtime}\nbatch {measurement.batch}\n{threads}"


def _macs(timing: Timing) -> Table:
    columns = (Column("network"), Column("MACs", numeric=True), Column("ratio", numeric=True))
    rows = tuple(
        (model, si(macs, 4), f"{timing.macs_ratio(model):.2f}x")
        for model, macs in timing.macs.items()
    )
    return Table("MACs, convolutions + linear", columns, rows)


def _times(timing: Timing, runtime: str, batch: int) -> Table:
    found = [m for m in timing.measurements if (m.runtime, m.batch) == (runtime, batch)]
    compared = len(timing.macs) > 1
    words = ["threads", "ms", *(["speed-up", "realised"] if compared else []), "memory"]
    rows = []
    for m in found:
        lower, middle, upper = (
            f"{1000 * s:.3g}" for s in (m.seconds.lower, m.seconds.median, m.seconds.upper)
        )
        cells = [str(m.threads), f"{middle} ({lower}–{upper})"]
        if compared:
            cells += [f"{m.speedup.median:.2f}x", f"{timing.realised(m):.0%}"]
        rows.append((m.model, *cells, "-" if m.memory is None else f"{si(m.memory)}B"))
    columns = (Column("network"), *(Column(word, numeric=True) for word in words))
    numbers = sorted({m.rounds for m in found})
    rounds = " to ".join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))
    return Table(f"{runtime}, batch {batch}: {rounds} rounds", columns, tuple(rows))


def _record(timing: Timing, measurement: Measurement) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in asdict(measurement).items():
        if isinstance(value, dict):
            flat |= {f"{key}_{name}": number for name, number in value.items()}
        else:
            flat[key] = value
    return flat | {
        "macs_ratio": timing.macs_ratio(measurement.model),
        "realised": timing.realised(measurement),
    }
