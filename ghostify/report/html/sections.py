"""What stands in each section of the page, in words and numbers that are ready to print."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ghostify.report.charts import Curve, Plot
from ghostify.report.document import si
from ghostify.report.evaluation import Evaluation
from ghostify.report.html.findings import Findings
from ghostify.report.report import Report
from ghostify.report.site_rows import KeptSite
from ghostify.report.timing import Measurement, Timing
from ghostify.types import PlanCandidate

LIBRARIES = ("torchvision", "timm", "ghostify")
"""Prefixes of named networks; what has another one is the user's own code."""

_CLASSES = 6


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity of the original and of the converted network, side by side.

    Attributes:
        label: what it is.
        original, converted: as printed; empty where there is none.
        change: in words.
        share: the converted network's over the original's, for a bar; None for no bar.
    """

    label: str
    original: str
    converted: str
    change: str = ""
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the table of sites: what is printed, and what it is sorted by."""

    text: str
    key: float | str


@dataclass(frozen=True, slots=True)
class Row:
    """A site of the table."""

    replaced: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Original and converted network in one runtime, batch and number of threads."""

    original: Measurement
    converted: Measurement
    promised: float
    realised: float


def figures(findings: Findings) -> list[Figure]:
    """The totals."""
    report = findings.report
    before, after = report.before, report.after
    whose = "" if findings.whole else " of convolutions"
    found = [
        _cost(f"Parameters{whose}", before.params, after.params),
        _cost("MACs of convolutions and linear layers" if findings.whole else f"MACs{whose}",
              before.conv_and_linear_macs, after.conv_and_linear_macs),
        _cost(f"Weights{whose}", before.weight_bytes, after.weight_bytes, "B"),
    ]  # fmt: skip
    for timing in findings.timings:
        found += _fastest(timing)
    for evaluation in findings.evaluations:
        found += _scores(evaluation)
    agreement = report.fidelity.agreement if report.fidelity else None
    if agreement is not None and agreement.top1 is not None:
        of = f"of {agreement.images} images held out"
        found.append(Figure("Same most likely class", "", f"{agreement.top1:.1%}", of))
    elif agreement is not None:
        error = f"{agreement.relative_error:.2%}"
        found.append(Figure("Relative error of the outputs", "", error, "on images held out"))
    return found


def headings(findings: Findings) -> list[tuple[str, bool]]:
    """Columns of the table of sites, and whether they hold numbers."""
    found = [("#", True), ("layer", False), ("geometry", False), ("map", True), ("s", True),
             ("d", True), ("MACs", True), ("now", True), ("parameters", True),
             ("now", True)]  # fmt: skip
    found += [("error", True)] if _residuals(findings.report) else []
    found += [("sensitivity", True)] if findings.sensitivity else []
    return [*found, ("stays because", False)]


def rows(findings: Findings) -> Iterator[Row]:
    """All sites, in the order of execution."""
    residuals, damages = _residuals(findings.report), findings.sensitivity
    for place, row in enumerate(findings.report.sites, 1):
        site, ghost = row.site, row.ghost
        costs = ((row.macs_before, row.macs_after), (row.params_before, row.params_after))
        area = site.output[0] * site.output[-1] if site.output else 0
        cells = [
            Cell(str(place), place),
            Cell(site.name, site.name),
            Cell(str(site.geometry), site.geometry.weights),
            Cell(site.output_map, area),
            Cell(f"{ghost.ratio:.4g}", ghost.ratio) if ghost else Cell("", 1),
            Cell(str(ghost.dw_size), ghost.dw_size) if ghost else Cell("", 0),
        ]
        for old, new in costs:
            cells += [Cell(si(old), old), Cell(si(new) if ghost else "", new)]
        if residuals:
            error = residuals.get(site.name)
            cells.append(Cell("", -1) if error is None else Cell(f"{error:.2%}", error))
        if damages:
            known = damages.layers.get(site.name, {})
            damage = known.get(ghost) if ghost else None
            cells.append(Cell("", -1) if damage is None else Cell(f"{damage:.2g}", damage))
        reason = row.reason if isinstance(row, KeptSite) else ""
        yield Row(ghost is not None, (*cells, Cell(reason, reason)))


def plots(findings: Findings) -> dict[str, Plot]:
    """All charts of points, by a name for their file."""
    found = {"plans": plans(findings), **recovery(findings)}
    return {name: plot for name, plot in found.items() if plot is not None}


def plans(findings: Findings) -> Plot | None:
    """How much each plan that was tried keeps, over what it costs; None if none was tried."""
    if not findings.trials:
        return None
    report = findings.report
    agreement = report.fidelity.agreement if report.fidelity else None
    agreements = [trial.agreement for trial in findings.trials]
    logits = all(found.top1 is not None for found in agreements)
    curves = [
        _tried("chosen layer by layer", [t for t in findings.trials if not t.uniform], "ghost"),
        _tried("one s for all", [t for t in findings.trials if t.uniform], "original"),
    ]
    if agreement is not None and (agreement.top1 is not None) == logits:
        spent = sum(row.macs_after for row in report.sites)
        here = agreement.top1 if agreement.top1 is not None else agreement.relative_error
        curves.append(Curve("this network", ((spent, here),), "here", ("this network",)))
    kept = "images with the same most likely class" if logits else "relative error of the outputs"
    shown = tuple(curve for curve in curves if curve.points)
    return Plot(kept, "MACs of the convolutions", kept, shown, percent=logits)


def recovery(findings: Findings) -> dict[str, Plot | None]:
    """Loss and score of a recovery, epoch by epoch; no score where nothing was held out."""
    found = findings.recovery
    if found is None or not found.history:
        return {}
    losses = [(float(r["epoch"]), float(r["loss"])) for r in found.history if r.get("loss")]
    curves = (Curve("this network", tuple(losses), "ghost", line=True),)
    plots: dict[str, Plot | None] = {
        "recovery-loss": Plot("Loss", "epoch", "loss", curves) if losses else None
    }
    name = next((n for n in ("top1", "agreement") if getattr(found.recovered, n, None)), None)
    if found.recovered is not None and name is not None:
        scored = [(float(r["epoch"]), (r.get("score") or {}).get(name)) for r in found.history]
        points = [(0.0, getattr(found.converted, name, None)), *scored]
        known = tuple((x, float(y)) for x, y in points if y is not None)
        last = known[-1][0]
        top = getattr(found.original, name, None)
        shown = [Curve("this network", known, "ghost", line=True)]
        if top is not None:
            shown.append(Curve("original", ((0.0, top), (last, top)), "original", line=True))
        said = "Top-1 accuracy" if name == "top1" else "Agreement with the original"
        plots["recovery-score"] = Plot(said, "epoch", said, tuple(shown), percent=True)
    return plots


def runs(timing: Timing) -> list[Run]:
    """Pairs of measurements; the first network is the original, the last the converted one."""
    original, converted = next(iter(timing.macs)), list(timing.macs)[-1]
    found = []
    for _, group in groupby(timing.measurements, lambda m: (m.runtime, m.batch, m.threads)):
        by_model = {m.model: m for m in group}
        if original in by_model and converted in by_model and original != converted:
            mine = by_model[converted]
            promised = timing.macs_ratio(converted)
            found.append(Run(by_model[original], mine, promised, timing.realised(mine)))
    return found


def likely(glimpse: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The most likely classes of one image, and their probabilities in both networks."""
    ours = dict(map(tuple, glimpse["classes"]))
    theirs = dict(map(tuple, glimpse["original_classes"] or ()))
    shown = list(dict.fromkeys([*theirs, *ours]))[:_CLASSES]
    return [(str(label), _percent(theirs.get(label)), _percent(ours.get(label))) for label in shown]


def commands(findings: Findings) -> list[tuple[str, str]]:
    """What to do next with this artifact, and the exact command."""
    folder = shlex.quote(findings.folder.name or str(findings.folder))
    own = _own_code(findings)
    return [
        ("How much it keeps on images of yours",
         f"ghostify compare {folder} --data images --weights original.safetensors{own}"),
        ("Trained back, with the original as teacher",
         f"ghostify recover {folder} --data images --weights original.safetensors{own}"),
        ("How well it does on labelled images, beside the original",
         f"ghostify evaluate {folder} --data images --weights original.safetensors{own}"),
        ("How fast it is beside the original",
         f"ghostify benchmark {folder} --runtime onnxruntime,openvino{own}"),
        ("A file for ONNX Runtime, verified", f"ghostify export {folder} --to onnx{own}"),
        ("A file for OpenVINO, verified", f"ghostify export {folder} --to openvino{own}"),
        ("What its layers make of an image, in this page",
         f"ghostify report {folder} --image image.jpg -o report.html{own}"),
        ("This page again, with what was measured since",
         f"ghostify report {folder} -o report.html"),
    ]  # fmt: skip


def made_by(findings: Findings) -> str:
    """What the plan was made by, in a few words."""
    budgets = findings.options.get("budget")
    parts = (
        [f"within a budget of {' and '.join(map(str, budgets))}"]
        if isinstance(budgets, list)
        else []
    )
    if runtime := findings.options.get("runtime"):
        parts.append(f"for {runtime}")
    ghosts = [row.ghost for row in findings.report.replaced]
    for letter, numbers in (("s", [g.ratio for g in ghosts]), ("d", [g.dw_size for g in ghosts])):
        least, most = min(numbers), max(numbers)
        parts.append(f"{letter} = {least:.4g}" + (f" to {most:.4g}" if most > least else ""))
    return ", ".join(parts)


def _cost(label: str, before: float, after: float, unit: str = "") -> Figure:
    change = _change(before, after, "less" if unit else "fewer")
    share = after / before if before else None
    return Figure(label, f"{si(before, 4)}{unit}", f"{si(after, 4)}{unit}", change, share)


def _change(before: float, after: float, word: str) -> str:
    """``1.83× fewer``, ``1.05× more`` or ``the same``."""
    if not before or not after:
        return ""
    ratio = max(before / after, after / before)
    return "the same" if ratio < 1.005 else f"{ratio:.2f}× {word if after < before else 'more'}"


def _fastest(timing: Timing) -> Iterator[Figure]:
    """Of each runtime its smallest batch with the fewest threads."""
    best: dict[str, Run] = {}
    for run in runs(timing):
        size = (run.original.batch, run.original.threads)
        known = best.get(run.original.runtime)
        if known is None or size < (known.original.batch, known.original.threads):
            best[run.original.runtime] = run
    for runtime, run in best.items():
        old, new = run.original, run.converted
        threads = f"{old.threads} thread{'s' if old.threads > 1 else ''}"
        share = 1 / new.speedup.median
        yield Figure(
            f"Time in {runtime}, batch {old.batch}, {threads}",
            milliseconds(old), milliseconds(new), f"{new.speedup.median:.2f}× as fast", share,
        )  # fmt: skip
        if old.memory and new.memory:
            yield Figure(
                f"Memory at the peak in {runtime}",
                f"{si(old.memory)}B", f"{si(new.memory)}B",
                _change(old.memory, new.memory, "less"), new.memory / old.memory,
            )  # fmt: skip


def _scores(evaluation: Evaluation) -> Iterator[Figure]:
    """The original's top-1 accuracy, and that of the last network."""
    known = evaluation.rows.get("original")
    last = list(evaluation.rows.values())[-1].score
    if last.top1 is not None:
        top1 = known.score.top1 if known else None
        change = "" if top1 is None else f"{100 * (last.top1 - top1):+.1f} points"
        label = f"Top-1 accuracy on {evaluation.data}"
        yield Figure(label, _percent(top1), _percent(last.top1), change.replace("-", "−"))


def milliseconds(measurement: Measurement) -> str:
    """The median of a run."""
    number = 1000 * measurement.seconds.median
    return f"{number:.0f} ms" if number >= 100 else f"{number:.3g} ms"


def _tried(name: str, trials: list[PlanCandidate], role: str) -> Curve:
    points = []
    for trial in trials:
        kept = trial.agreement
        points.append((float(trial.macs), kept.relative_error if kept.top1 is None else kept.top1))
    said = tuple(
        f"{trial.plan}\n{si(trial.macs)} MACs, {y:.1%}"
        for trial, (_, y) in zip(trials, points, strict=True)
    )
    return Curve(name, tuple(points), role, said)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _residuals(report: Report) -> dict[str, float]:
    return dict(report.fidelity.residuals) if report.fidelity else {}


def _own_code(findings: Findings) -> str:
    """The options that an artifact of the user's own code needs."""
    source = findings.source
    if source is None:
        return " --model FILE.py:FACTORY --input CxHxW"
    prefix, colon, _ = source.name.rpartition(":")
    if not colon or prefix in LIBRARIES:
        return ""
    return f" --model {shlex.quote(source.name)}"
