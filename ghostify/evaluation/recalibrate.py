"""Recalibrate BatchNorm running statistics."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ghostify.analysis.arguments import check_model
from ghostify.analysis.model_copy import copy_model
from ghostify.data import Data, images_in, opened, remember_images, split_labels
from ghostify.data.batches import call, with_progress
from ghostify.types import GhostifyError, Lineage
from ghostify.types.errors import first_line
from ghostify.types.progress import ShowProgress

Model = TypeVar("Model", bound=nn.Module)


@torch.no_grad()
def recalibrate(
    model: Model,
    data: Data | Iterable[Any] | str | Path,
    *,
    batches: int | None = None,
    progress: ShowProgress = True,
) -> Model:
    """Return a copy of a network with BatchNorm statistics computed on ``data``.

    Means and variances are averaged over all batches with equal weight, as
    ``torch.optim.swa_utils.update_bn`` does. Unlike there, dropout and all other modules stay in
    evaluation mode. No weight changes.

    Args:
        model: the network. It is not changed; the copy is in evaluation mode.
        data: batches of images, with or without labels, preprocessed as for evaluation; a
            `Data`, whose training images are used; or the name of a source, as in `evaluate`.
        batches: maximum number of batches. Default: all.
        progress: show a progress bar, or call this function with each `Progress`.

    Raises:
        GhostifyError: if the network has no BatchNorm with running statistics, there are no
            images, a batch has one value per channel, or a statistic is not finite.
    """
    check_model(model)
    if batches is not None and batches < 1:
        raise GhostifyError(f"`batches` (={batches}) must be at least 1")
    copied = copy_model(model)
    copied.eval()
    norms: dict[str, Any] = {
        name: norm
        for name, norm in copied.named_modules()
        if isinstance(norm, _BatchNorm) and norm.running_mean is not None
    }
    if not norms:
        raise GhostifyError(f"{type(model).__name__} has no BatchNorm with running statistics")
    for norm in norms.values():
        norm.reset_running_stats()
        norm.momentum = None  # torch's switch for a cumulative average
        norm.train()
    images = 0
    loader = opened(data, model)
    loader = loader.calibration() if isinstance(loader, Data) else loader
    for batch in with_progress(loader, "recalibrating", progress, limit=batches):
        inputs, _ = split_labels(batch)
        images += images_in(inputs)
        try:
            call(copied, inputs)
        except ValueError as error:  # of a BatchNorm with one value per channel
            raise GhostifyError(f"a BatchNorm failed on a batch: {first_line(error)}") from error
    if not images:
        raise GhostifyError("`data` must hold at least one image to recalibrate with")
    for name, norm in norms.items():
        before: Any = model.get_submodule(name)
        norm.momentum = before.momentum
        norm.eval()
        if not norm.num_batches_tracked:  # it has not run
            norm.load_state_dict(before.state_dict())
        elif not (norm.running_mean.isfinite().all() and norm.running_var.isfinite().all()):
            raise GhostifyError(f"the statistics of {name} are not finite: recalibrate in float32")
    Lineage.of(model).then("recalibrated").attach(copied)
    remember_images(copied, loader)
    return copied
