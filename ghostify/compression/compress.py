"""Make a network as small or as fast as an allowed loss of accuracy permits."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from math import inf
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from ghostify.analysis.arguments import check_model
from ghostify.analysis.model_copy import copy_model
from ghostify.artifact.artifact import Artifact, load, save
from ghostify.compression.budget_search import BudgetSearch
from ghostify.compression.images import Images
from ghostify.compression.trial_runner import RECORD, TrialRunner
from ghostify.data import Data, opened, remember_images, split_labels
from ghostify.data.batches import device_of, find_device
from ghostify.deployment.exported import Exported
from ghostify.deployment.exported_module import ExportedModule
from ghostify.deployment.exporters import EXPORTERS
from ghostify.deployment.runtimes import runtime_named
from ghostify.evaluation.evaluate import evaluate
from ghostify.evaluation.output_kinds import find_outputs, known_outputs
from ghostify.io.atomic import TRIED, check_target, inside
from ghostify.io.checksummed_json import read_checksummed
from ghostify.models.identity import check_original, weights_digest
from ghostify.planning.budget import Budgets, parse_budgets
from ghostify.report.compression import Compression
from ghostify.report.evaluate_models import evaluate_models
from ghostify.training.claim import claimed
from ghostify.types import (
    Example,
    GhostifyError,
    ModelSource,
    RecoverySettings,
    Score,
    Trial,
    Trials,
)
from ghostify.types.errors import GhostifyWarning
from ghostify.types.outputs import OutputsLike
from ghostify.types.progress import ShowProgress

Model = TypeVar("Model", bound=nn.Module)

_TIMING = 5.0
"""Seconds to time the network that is saved."""

_LR = 1e-3
"""Peak learning rate. Trainings are short and networks are near the original: the highest stable
rate, which `recover` finds, makes them worse at first."""


def compress(
    model: Model,
    data: Data | Iterable[Any] | str | Path,
    example: Example | None = None,
    *,
    out: str | os.PathLike[str] = "compressed",
    max_drop: float | None = None,
    budget: Budgets | None = None,
    minutes: float = 30.0,
    runtime: str | None = None,
    threads: int = 1,
    int8: bool = False,
    outputs: OutputsLike = None,
    settings: RecoverySettings | None = None,
    device: str | None = None,
    source: ModelSource | None = None,
    options: Mapping[str, Any] | None = None,
    resume: bool = False,
    force: bool = False,
    on_trial: Callable[[Trial], None] | None = None,
    progress: ShowProgress = True,
) -> tuple[Model, Compression]:
    """Find the smallest network whose accuracy is within ``max_drop`` of the original's.

    Sensitivities are measured once, and predict the first budget. Then networks of different
    budgets are planned, converted and scored, first with fitted weights alone, then with a little
    training, and one is trained for the rest of the time. The smallest network within the drop is
    saved with a page about it; if none is, the one with the least drop.

    Half of the held-out images choose between networks, the other half, the test images, report
    what was lost; fewer than 200 images do both.

    Args:
        model: the original, trained; it is not changed.
        data: a `Data`, the name of a source as in `open_data`, a DataLoader, or any iterable of
            batches, as in `recover`. Images are held out as there.
        example: an input, as in `analyze`. Default: the first image of the data.
        out: folder of the artifact to make. The networks that were tried are in its folder
            ``trials``.
        max_drop: allowed loss of accuracy in percentage points, of the metric of the labels;
            without labels, of the agreement with the original (`Score.drop_from`). Default: 0.5.
        budget: what the network may cost, as in `ghostify.plan`, instead of ``max_drop``.
        minutes: time for all but the last evaluation, the timing and the export.
        runtime: find the network of least latency in this runtime, as in `benchmark`, instead of
            the one with the fewest MACs; time it there, and export it.
        threads: number of threads to measure latency with.
        int8: export in INT8, and measure latency in INT8. Default runtime: ``onnxruntime``.
        outputs: what the outputs are, as in `convert`.
        settings: how to train. Default: `RecoverySettings` with ``lr`` 1e-3.
        device: where to compute. Default: a GPU if there is one.
        source: where the model comes from, as in `save`.
        options: what was asked for, as in `save`.
        resume: continue a compression that was interrupted, or one that ended for as many
            ``minutes`` more, perhaps with another ``max_drop``.
        force: replace an existing artifact, or an unfinished compression.
        on_trial: called with each `Trial`, of which the original is the first. With ``resume``,
            first called with those of the interrupted compression.
        progress: whether to show progress bars, or a function that is called with each `Progress`.

    Returns:
        The network, as loaded from ``out``, and what was tried.

    Raises:
        GhostifyError: if an argument is out of range, the model is not trained, no plan is within
            the budget, ``out`` holds an unfinished compression and ``resume`` is False, or none of
            the same network and data and it is True.
        KeyboardInterrupt: on Ctrl-C; ``resume`` continues.
        OSError: if ``out`` cannot be written.
    """
    check_model(model)
    check_original(model, None, "`model`")
    max_drop = _checked_drop(max_drop, budget, timed=int8 or runtime is not None)
    if not minutes > 0:
        raise GhostifyError(f"`minutes` (={minutes:g}) must be above 0")
    if int8:
        runtime = f"{(runtime or 'onnxruntime').removesuffix('-int8')}-int8"
    if runtime is not None:
        runtime_named(runtime).check_installed()
    out = Path(out)
    check_target(out, force=force or resume)
    place = find_device(device)
    original = model if device_of(model) == place else copy_model(model).to(place)
    data = opened(data, model, example)
    images = Images.of(data, example, place)
    kinds = find_outputs(
        original, map(split_labels, images.validation), outputs, known_outputs(model)
    )
    of = {
        "model": weights_digest(model), "data": _describe(data), "outputs": str(kinds),
        "runtime": str(runtime), "threads": str(threads), "budget": str(budget),
    }  # fmt: skip
    with claimed(out):
        folder = inside(out, TRIED)
        record = _record(folder, of, resume=resume, force=force)
        runner = TrialRunner(
            original, images, kinds, runtime, threads, settings or RecoverySettings(lr=_LR), device,
            folder, record, on_trial or (lambda trial: None), progress,
        )  # fmt: skip
        _check_resolution(max_drop, runner.prepare().score)
        best = BudgetSearch(runner, max_drop or inf, minutes).run(budget)
        network = runner.network(best)
        remember_images(network, images.training)
        artifact = save(
            network, out, original=original, example=images.example, source=source,
            options=options, force=True,
        )  # fmt: skip
        artifact.compare()
        compression = _measure(artifact, runner, best, max_drop)
        artifact.remember("compression", compression.to_dict())
        runner.finish()
        if find_spec("jinja2"):
            artifact.write_report()
    return load(out, model), compression


def _measure(
    artifact: Artifact, runner: TrialRunner, best: Trial, max_drop: float | None
) -> Compression:
    """Score what was saved on the test images, time it, and export it for the runtime."""
    images, original = runner.images, runner.record.original
    assert original is not None
    test = images.validation if images.test is None else images.test
    scored: dict[str, Any] = {
        "teacher": runner.model,
        "outputs": runner.outputs,
        "progress": runner.progress,
    }
    evaluation = evaluate_models(
        {"original": runner.model, artifact.stage: artifact.model}, test, example=images.example,
        **scored,
    )  # fmt: skip
    timing = artifact.benchmark(
        runtime=runner.runtime or "eager", threads=runner.threads, seconds=_TIMING,
        progress=runner.progress,
    )  # fmt: skip
    exported: Score | None = None
    file = _export(artifact, runner)
    if file is not None and file.score and file.batch is None:
        session = ExportedModule(file, artifact.model, images.example)
        exported = evaluate(session, test, **scored)
    return Compression(
        max_drop, runner.runtime, original, runner.record.tried, best,
        artifact.add_evaluation(evaluation), timing, images.test is not None, exported,
    )  # fmt: skip


def _export(artifact: Artifact, runner: TrialRunner) -> Exported | None:
    """Write the network for the runtime, if that runs files."""
    if runner.runtime is None or (to := runtime_named(runner.runtime).to) is None:
        return None
    name, int8 = artifact.path / "model", runner.runtime.endswith("-int8")
    return artifact.export(
        name.with_suffix(EXPORTERS[to].ending), to=to, int8=int8, force=True,
        calibration=runner.images.calibration if int8 else None,
        outputs=runner.outputs if int8 else None, progress=runner.progress,
    )  # fmt: skip


def _checked_drop(max_drop: float | None, budget: Budgets | None, *, timed: bool) -> float | None:
    """Return the allowed drop; None with a budget, which limits latencies if they are ``timed``."""
    if budget is not None:
        if max_drop is not None:
            raise GhostifyError("`budget` and `max_drop` exclude each other: leave one out")
        costs = {each.cost for each in parse_budgets(budget)}
        if "latency" in costs and not timed:
            raise GhostifyError("a budget of latency needs `runtime`, such as 'onnxruntime'")
        return None
    if max_drop is None:
        return 0.5
    if not 0 < max_drop <= 100:
        raise GhostifyError(f"`max_drop` (={max_drop:g}) must be above 0 and at most 100")
    return max_drop


def _record(folder: Path, of: Mapping[str, str], *, resume: bool, force: bool) -> Trials:
    """Return the trials to resume, or an empty record of a new compression."""
    file = folder / RECORD
    if resume:
        if not file.is_file():
            raise GhostifyError(f"{folder} holds no trials to resume: leave out `resume`")
        record = read_checksummed(file, Trials)
        for name, value in of.items():
            if record.of.get(name) != value and (record.tried or name != "budget"):
                raise GhostifyError(
                    f"{folder} is of another `{name}` ({record.of.get(name)!r}): pass the same to "
                    "resume, or another `out`"
                )
        return replace(record, of=of)
    if file.is_file() and not force:
        raise GhostifyError(
            f"{folder} holds an unfinished compression: pass `resume`, or `force` to start again"
        )
    if file.is_file():
        shutil.rmtree(folder)
    return Trials(of)


def _describe(data: Any) -> str:
    """Return what is known of data: name, or path, and preprocessing."""
    if not isinstance(data, Data):
        return ""
    name = str(Path(data.name).resolve()) if Path(data.name).exists() else data.name
    return f"{name}, {data.preprocessing}"


def _check_resolution(max_drop: float | None, score: Score) -> None:
    """Warn of a drop that is less than one image."""
    one = 100 / score.images
    if max_drop is not None and max_drop < one and score.standard_error is not None:
        warnings.warn(
            f"`max_drop` (={max_drop:g}) is less than one of the {score.images} validation images, "
            f"{one:.2g} points: use more images",
            GhostifyWarning,
            stacklevel=3,
        )
