"""The statistics of batch norms, estimated again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ghostify.analysis.arguments import check_model
from ghostify.analysis.model_copy import copy_model
from ghostify.data import Data, images_in, split_labels
from ghostify.data.batches import call, with_progress
from ghostify.types import Example, GhostifyError
from ghostify.types.errors import first_line
from ghostify.types.progress import ShowProgress

Model = TypeVar("Model", bound=nn.Module)


@torch.no_grad()
def recalibrate(
    model: Model,
    data: Data | Iterable[Any],
    *,
    batches: int | None = None,
    progress: ShowProgress = True,
) -> Model:
    """A copy of the network whose batch norms have the means and variances of this data.

    They are the average over all batches, each of which counts the same, as those of
    ``torch.optim.swa_utils.update_bn``; but dropout, and whatever else differs in training, is as
    in evaluation, which the statistics are for. No weight is changed.

    Args:
        model: is not changed; the copy is in evaluation mode.
        data: batches of images, alone or with labels, seen as in evaluation; of a `Data` those to
            train on.
        batches: how many to use at most.
        progress: whether to show a bar, or a function that is called with each `Progress`.

    Raises:
        GhostifyError: if the network has no batch norm with statistics, there are no images, a
            batch has one value for each channel, or a statistic is not finite.
    """
    check_model(model)
    if batches is not None and batches < 1:
        raise GhostifyError(f"batches={batches}: give 1 or more")
    twin = copy_model(model)
    twin.eval()
    norms = {name: norm for name, norm in twin.named_modules() if _has_statistics(norm)}
    if not norms:
        raise GhostifyError(f"{type(model).__name__} has no batch norms to calibrate")
    averages = {name: _Average(norm) for name, norm in norms.items()}
    images = 0
    loader = data.train if isinstance(data, Data) else data
    for batch in with_progress(loader, "recalibrating", progress, limit=batches):
        inputs, _ = split_labels(batch)
        images += images_in(inputs)
        _run(twin, inputs)
    if not images:
        raise GhostifyError("there are no images to calibrate with")
    for name, average in averages.items():
        average.finish(name)
    return twin


class _Average:
    """A batch norm that averages over what runs through it, and what it was before."""

    def __init__(self, norm: Any) -> None:
        self.norm = norm
        self.momentum = norm.momentum
        self.buffers = {name: buffer.clone() for name, buffer in norm.named_buffers()}
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
        norm.train()

    def finish(self, name: str) -> None:
        """Evaluation mode again; one that has not run gets its statistics back."""
        norm = self.norm
        norm.momentum = self.momentum
        norm.eval()
        if not norm.num_batches_tracked:
            norm.load_state_dict(self.buffers, strict=False)
        elif not (norm.running_mean.isfinite().all() and norm.running_var.isfinite().all()):
            raise GhostifyError(f"the statistics of {name} are not finite: calibrate it in float32")


def _has_statistics(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and module.running_mean is not None


def _run(model: nn.Module, inputs: Example) -> None:
    try:
        call(model, inputs)
    except ValueError as error:  # what a batch norm says to a single value for each channel
        raise GhostifyError(f"a batch norm cannot be calibrated: {first_line(error)}") from error
