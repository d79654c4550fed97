"""INT8 exports: images to calibrate with, and divergence from the float32 network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ghostify.data import images_in
from ghostify.data.batches import call, hold_out_batches, regroup, with_progress
from ghostify.deployment.exported import Exported
from ghostify.deployment.exporters import EXPORTERS
from ghostify.deployment.quantize import QUANTIZERS, quantizer_for
from ghostify.deployment.tensors import resize_batch, tensors_of
from ghostify.deployment.verify_export import Errors, output_errors
from ghostify.evaluation.metrics import Metrics
from ghostify.evaluation.output_kinds import calibrate_on
from ghostify.io.progress import Report, progress_bar
from ghostify.report.metric_texts import describe_score
from ghostify.types import Example, GhostifyError, Outputs, Score, describe_example
from ghostify.types.errors import root_cause
from ghostify.types.outputs import OutputsLike
from ghostify.types.progress import ShowProgress

MAX_KL, MAX_RELATIVE_ERROR = 0.3, 0.05
"""Largest divergence of classes and labels in nats, and of values. EfficientNet-Lite0 had 0.25 nats
at most, on images of a size and kind that it was not trained on."""


@dataclass(frozen=True)
class Images:
    """Images to calibrate with, others to verify on, and what the network makes of them."""

    calibration: list[Example]
    held_out: list[Example]
    outputs: Outputs


def check_int8(
    to: str, calibration: Any, outputs: OutputsLike, max_divergence: float | None, *, int8: bool
) -> None:
    """Check the arguments of an export before any work.

    Raises:
        GhostifyError: if the format has no INT8 or a package is missing; if there are no images, or
            the arguments are for INT8 alone; or if a number is out of range.
    """
    if int8:
        quantizer_for(to).check_installed()
        if calibration is None:
            raise GhostifyError("INT8 needs images of the kind the network is for: `calibration`")
    elif calibration is not None or outputs is not None:
        raise GhostifyError("`calibration` and `outputs` are for INT8: pass `int8=True`")
    if max_divergence is not None and not max_divergence >= 0:
        raise GhostifyError(f"`max_divergence` (={max_divergence}) must be at least 0")


def read_images(
    model: nn.Module, example: Example, calibration: Any, outputs: OutputsLike
) -> Images:
    """Read calibration images, and hold out a fifth of them, about 64 at most.

    Raises:
        GhostifyError: if there are fewer than 10, or their sizes are not the example's.
    """
    batches, found = calibrate_on(model, calibration, example, outputs)
    for batch in batches:
        shapes = ([tensor.shape[1:] for tensor in tensors_of(each)] for each in (batch, example))
        if next(shapes) != next(shapes):
            raise GhostifyError(
                f"`calibration` holds images of {describe_example(batch)}, but the file takes "
                f"{describe_example(example)}: resize them, or export for their size"
            )
    batches = tree_map_only(Tensor, lambda t: t.detach().cpu().contiguous(), batches)
    fitted, held_out = hold_out_batches(batches)
    if not held_out:
        raise GhostifyError(
            f"`calibration` (={_count(batches)} images) must be at least 10 images: a fifth is "
            "held out to verify INT8"
        )
    return Images(fitted, held_out, found)


def export_int8(
    source: Exported,
    target: Path,
    network: nn.Module,
    images: Images,
    *,
    max_divergence: float | None,
    progress: ShowProgress,
) -> Exported:
    """Quantize a float32 file, and compare the INT8 file with the float32 network.

    Raises:
        GhostifyError: if it cannot be quantized, or differs too much.
    """
    try:
        _quantize(source, target, images, progress)
        errors, score = _compare(network, source, target, images, progress)
    except Exception as error:
        name = source.path.name
        raise GhostifyError(f"{name} cannot be quantized: {root_cause(error)}") from error
    limit = max_divergence
    if limit is None:
        limit = MAX_RELATIVE_ERROR if score.kl is None else MAX_KL
    if not score.divergence <= limit:
        raise GhostifyError(
            f"INT8 differs from the network on held-out images ({describe_score(score)}) by more "
            f"than `max_divergence` (={limit:g}): calibrate on more images of the kind the network "
            "is for, or raise it to write the file nevertheless"
        )
    return replace(
        source,
        path=target,
        inputs=_count(images.held_out),
        max_abs_error=errors.absolute,
        max_relative_error=errors.relative,
        calibrated=_count(images.calibration),
        score=score,
        outputs=images.outputs,
    )


def _quantize(source: Exported, target: Path, images: Images, progress: ShowProgress) -> None:
    """Quantize with one image at a time, or as many as the file's fixed batch size."""
    batches = _in_batches(images.calibration, source.batch or 1)
    with progress_bar("calibrating INT8", progress) as report:
        inputs = _Reported([tensors_of(batch) for batch in batches], report)
        QUANTIZERS[source.to].write(source.path, target, inputs)


@torch.no_grad()
def _compare(
    network: nn.Module, source: Exported, target: Path, images: Images, progress: ShowProgress
) -> tuple[Errors, Score]:
    """Return the largest errors of INT8 on the held-out images, and the score."""
    held_out = images.held_out
    batches = held_out if source.batch is None else _in_batches(held_out, source.batch)
    session = EXPORTERS[source.to].open(target, torch.get_num_threads())
    metrics, errors = Metrics(images.outputs), Errors()
    for inputs in with_progress(batches, "verifying INT8", progress):
        expected, found = call(network, inputs), session(tensors_of(inputs))
        for here, there in zip(found, tensors_of(expected), strict=True):
            errors |= output_errors(here, there)
        metrics.update(found, None, expected, images_in(inputs))
    return errors, metrics.compute()


def _count(batches: Iterable[Example]) -> int:
    return sum(map(images_in, batches))


def _in_batches(batches: list[Example], size: int) -> list[Example]:
    """Return batches of ``size`` images; the last one repeats images to be full."""
    return [
        each if images_in(each) == size else resize_batch(each, size)
        for each in regroup(batches, size)
    ]


class _Reported:
    """Inputs that report how many of them were read."""

    def __init__(self, inputs: list[list[Tensor]], report: Report) -> None:
        self._inputs, self._report = inputs, report

    def __len__(self) -> int:
        return len(self._inputs)

    def __iter__(self) -> Iterator[list[Tensor]]:
        for done, tensors in enumerate(self._inputs, 1):
            self._report(done, len(self))  # first, as the last one may not be asked for more
            yield tensors
