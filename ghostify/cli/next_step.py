"""The next step: one line on stderr with a command to paste."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from importlib.util import find_spec
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghostify.cli.options import DataOptions, ModelOptions, OriginalOptions, PlanOptions
from ghostify.cli.terminal import note
from ghostify.types import ModelSource, Recovery, Score

if TYPE_CHECKING:
    from ghostify.deployment import Exported
    from ghostify.io.recipe import Recipe
    from ghostify.report.compression import Compression
    from ghostify.report.evaluation import Evaluation
    from ghostify.report.report import Report
    from ghostify.report.timing import Timing

NO_FASTER = 1.05
"""A speed-up below this does not pay for what a conversion costs."""

_LITTLE = 1.1
_NEGLIGIBLE = 0.002
_DEPTHWISE_SHARE = 0.2
_IMAGES = "IMAGES"
_SWITCHES = {"--force", "--int8", "--pretrained", "--reparameterize", "--resume"}
_UNIFORM = ("--ratio", "--dw-size")
_LATENCY_BUDGET = ("--budget", "latency=0.8")
_INT8 = "-int8"


def command_line() -> list[str]:
    """The arguments of this command, as the user wrote them."""
    return sys.argv[1:]


def note_next(purpose: str, *words: object) -> None:
    """Print a purpose, and the command for it, quoted for a shell."""
    note(f"{purpose}: {shlex.join(['ghostify', *map(str, words)])}")


def note_again(purpose: str, *changes: object, without: Sequence[str] = ()) -> None:
    """Print a purpose, and this command with other options."""
    names = [str(word) for word in changes if str(word).startswith("-")]
    note_next(purpose, *_without(command_line(), *names, *without, "--resume"), *changes)


def flags(options: Any) -> list[str]:
    """Return a group of options as the user wrote them, without those at their defaults."""
    words = []
    for field in fields(options):
        value, flag = getattr(options, field.name), f"--{field.name.replace('_', '-')}"
        if value == field.default:
            continue
        for each in value if isinstance(value, list) else [value]:
            words += [flag] if each is True else [flag, str(each)]
    return words


def model_flags(source: ModelSource) -> list[str]:
    """Return the --model that a folder of the user's own code needs."""
    from ghostify.models.registry import is_named

    return [] if is_named(source) else ["--model", source.name]


def after_convert(
    folder: Path, source: ModelSource, report: Report, *, trained: bool, calibration: str | None,
    planning: PlanOptions,
) -> None:  # fmt: skip
    """Say what is wrong with a conversion, or how to see what it has kept."""
    model, runtime = model_flags(source), planning.runtime
    if not trained:
        published = not model and not source.name.startswith("ghostify:")
        why = f"{source.name} has random weights, so nothing was kept. Train it in Python "
        why += "(ghostify.load), or convert it with trained weights"
        trained_by = ["--pretrained"] if published else ["--weights", "FILE"]
        note_again(why, *trained_by, "--force", without=["--weights"])
    elif runtime and not planning.budget and report.macs_ratio < _LITTLE:
        why = f"In {runtime}, only {len(report.replaced)} of {len(report.sites)} convolutions are "
        why += "faster as Ghost modules. To drop channels as well"
        note_again(why, *_LATENCY_BUDGET, "--force", without=_UNIFORM)
    elif runtime is None and not report.pruned and _is_depthwise_separable(report):
        why = "Networks of depthwise convolutions often get slower. To see whether this one does"
        note_next(why, "benchmark", folder, *_runtime(), *model)
    elif calibration is None:
        why = "To keep far more accuracy, convert with a few hundred images"
        note_again(why, "--calibration", _IMAGES, "--force")
    else:
        note_next("To see how much was kept", "evaluate", folder, "--data", calibration, *model)


def after_plan(
    file: Path | None, target: str, original: OriginalOptions, calibration: str | None
) -> None:
    """Say how to convert by a plan, if ``target`` is a network and the plan in a file."""
    if file is None or Path(target).is_dir():
        return
    images = ["--calibration", calibration] if calibration else []
    note_next(
        "To convert by this plan", "convert", target, *flags(original), *images, "--plan", file
    )


def after_sensitivity(file: Path, target: str, original: OriginalOptions) -> None:
    """Say how to plan by a sensitivity."""
    budget = ["--budget", "macs=0.5", "--sensitivity", file, "-o", "plan.json"]
    note_next(f"Saved to {file}. To plan by it", "plan", target, *flags(original), *budget)


def after_evaluate_model(target: str, source: DataOptions, options: ModelOptions) -> None:
    """Say how to convert a network that was evaluated."""
    note_next("To convert it", "convert", target, *flags(options), "--calibration", source.data)


def after_compress(
    folder: Path, compression: Compression, minutes: float, data: DataOptions, source: ModelSource
) -> None:
    """Say how to get nearer to a wish that was not met; else what to do with the network."""
    model, saved = model_flags(source), f"Saved to {folder}"
    runtime, (_, timed) = compression.runtime, compression.timing.measurements
    if not compression.is_met:
        note_again(f"{saved}. To try for longer", "--minutes", f"{2 * minutes:g}", "--resume")
    elif runtime is None and find_spec("onnxruntime"):
        faster = ("--runtime", "onnxruntime", "--out", f"{folder}-onnxruntime")
        note_again(f"{saved}. To find the fastest network in a runtime", *faster, without=["-o"])
    elif runtime is not None and timed.speedup.median < NO_FASTER:
        which = ("--out", f"{folder}-small")
        why = f"{saved}. Not faster in {runtime}. To find the smallest network instead"
        note_again(why, *which, without=["--runtime", "--int8", "-o"])
    else:
        note_next(f"{saved}. To train it for longer", "recover", folder, *flags(data), *model)


def after_scores(
    folder: Path, evaluation: Evaluation, source: DataOptions, original: OriginalOptions
) -> None:
    """Say how to recover what a conversion has lost; if that is done or little, how to time it."""
    rows = list(evaluation.rows)
    scores = {name: row.score for name, row in evaluation.rows.items()}
    no_teacher = "original" not in scores  # its weights are not there: recover needs them
    recovered = rows[-1].startswith("recovered")
    if no_teacher or recovered or _is_kept(scores[rows[-1]], scores.get("original")):
        to_benchmark(folder, original)
    else:
        if source.held_out == 1:  # evaluated on all of it, of which most is to train on
            source = replace(source, held_out=DataOptions.held_out)
        why = "To recover accuracy by training"
        note_next(why, "recover", folder, *flags(source), *flags(original))


def after_recover(folder: Path, recovery: Recovery, original: OriginalOptions) -> None:
    """Say how to time a network that is as good as it gets, or how to train it otherwise."""
    if recovery.best_epoch or _is_kept(recovery.converted, recovery.original):
        to_benchmark(folder, original)
        return
    rates = [recovery.settings.lr, *(record.get("lr") for record in recovery.history)]
    lr = min(filter(None, rates), default=None)  # a collapse lowers it
    rate = ["--lr", f"{lr / 4:g}"] if lr else []
    why = f"To train longer{', at a lower rate' if lr else ''}"
    note_again(why, *rate, "--epochs", 2 * len(recovery.history))


def _is_kept(score: Score | None, original: Score | None) -> bool:
    """Whether a network has at most a negligible loss of accuracy."""
    if score is None or original is None or score.top1 is None or original.top1 is None:
        return False
    return original.top1 - score.top1 < _NEGLIGIBLE


def to_benchmark(folder: Path, original: OriginalOptions) -> None:
    """Say how to time a conversion."""
    note_next("To measure the speed-up", "benchmark", folder, *_runtime(), *flags(original))


def after_benchmark(target: str, timing: Timing, original: OriginalOptions) -> None:
    """Say how to export a network that is faster, or how to convert it so that it is."""
    if not Path(target).is_dir():
        note_next("To convert it", "convert", target, *flags(original))
        return
    from ghostify.deployment.runtimes import RUNTIMES
    from ghostify.io.recipe import read_recipe

    recipe = read_recipe(Path(target))
    speedups: dict[str, float] = {}
    for _, ours in timing.pairs():
        speedups[ours.runtime] = min(ours.speedup.median, speedups.get(ours.runtime, inf))
    slow = [name for name, speedup in speedups.items() if speedup < NO_FASTER]
    fast = [name for name in speedups if name not in slow]
    if fast:
        but = f", but not in {' and '.join(slow)}" if slow else ""
        runtime = next((name for name in fast if RUNTIMES[name].to), "onnxruntime")
        to = ["--to", str(RUNTIMES[runtime].to)]
        if runtime.endswith(_INT8):
            to += ["--int8", "--calibration", _images_of(recipe)]
        why = f"Faster in {' and '.join(fast)}{but}. To export it"
        note_next(why, "export", target, *to, *flags(original))
        return
    runtime = slow[-1]
    again, change = _converted_by(recipe), ["--runtime", runtime]
    which = f"replace only what is faster in {runtime}"
    if (recipe.options or {}).get("runtime") == runtime:
        again = _without(again, *_UNIFORM, "--runtime", "--budget")
        change, which = [*change, *_LATENCY_BUDGET], "plan by latency"
    why = f"Not faster in {' and '.join(slow)}. To {which}"
    note_next(why, *again, *change, "--out", f"{Path(target)}-{runtime}")


def after_export(target: str, exported: Exported) -> None:
    """Say how to quantize what was exported in float32."""
    from ghostify.deployment.quantize import QUANTIZERS

    if exported.score is not None or exported.to not in QUANTIZERS:
        return
    images = _IMAGES
    if Path(target).is_dir():
        from ghostify.io.recipe import read_recipe

        images = _images_of(read_recipe(Path(target)))
    changes = ("--to", exported.to, "--int8", "--calibration", images)
    note_again("For INT8, which most CPUs run faster", *changes, without=("--out", "-o", "--force"))


def _converted_by(recipe: Recipe) -> list[str]:
    """Return the command that an artifact was made by, or what the recipe knows of it."""
    if recorded := (recipe.options or {}).get("command"):
        return _without(recorded, "--plan", "--out", "-o", "--force")
    source = recipe.source or ModelSource("MODEL")
    size = ["--input", "x".join(map(str, source.input_size))] if source.input_size else []
    arguments = [f"--model-arg={key}={value}" for key, value in source.arguments.items()]
    return ["convert", source.name, *size, *arguments]


def _images_of(recipe: Recipe) -> str:
    """Return the images that an artifact was calibrated with, as they were named."""
    words = (recipe.options or {}).get("command", [])
    return next((name for option, name in pairwise(words) if option == "--calibration"), _IMAGES)


def _without(words: Sequence[str], *options: str) -> list[str]:
    """Leave out options, with their values."""
    kept: list[str] = []
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if word.partition("=")[0] not in options:
            kept.append(word)
        elif word in options and word not in _SWITCHES:
            place += 1
    return kept


def _is_depthwise_separable(report: Report) -> bool:
    depthwise = sum(row.site.ineligible == "depthwise" for row in report.sites)
    return depthwise >= _DEPTHWISE_SHARE * len(report.sites)


def _runtime() -> list[str]:
    return ["--runtime", "onnxruntime"] if find_spec("onnxruntime") else []
