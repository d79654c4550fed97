"""What the commands that look at images and labels have in common."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import ghostify
from ghostify import Augmentation, Evaluation, GhostifyError
from ghostify.cli.terminal import note, stage
from ghostify.cli.workflow import ModelContext, remember
from ghostify.io.measurements import recorded
from ghostify.io.recipe import read_recipe

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ghostify.data import Data


def open_for(
    subject: ModelContext,
    source: str,
    *,
    root: Path | None,
    batch_size: int,
    workers: int,
    held_out: float,
    labels: bool,
    seed: int = 0,
    augmentation: Augmentation | None = None,
) -> Data:
    """The data that the user named, as the network wants it.

    Raises:
        GhostifyError: as `open_data` does.
    """
    with stage(f"opening {source}"):
        return ghostify.open_data(
            source,
            subject.network,
            subject.source,
            batch_size=batch_size,
            workers=workers,
            seed=seed,
            data_root=root,
            labels=labels,
            held_out=held_out,
            augmentation=augmentation,
        )


def is_original_known(weights: Path | None, pretrained: bool, model: str | None) -> bool:
    """Whether the user says where the original's weights come from, or names code that may."""
    return weights is not None or pretrained or model is not None


def device_named(name: str | None) -> torch.device:
    """The device that the user named, or a GPU where there is one.

    Raises:
        GhostifyError: if there is no such device.
    """
    import torch

    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise GhostifyError(f"no device {name!r} here: give cpu, or leave it out") from error
    return device


def scored(
    networks: Mapping[str, nn.Module],
    data: Data,
    example: torch.Tensor,
    *,
    teacher: nn.Module | None,
    device: torch.device,
) -> Evaluation:
    """Evaluate networks on a device.

    Raises:
        GhostifyError: as `evaluate_models`.
    """
    for network in (*networks.values(), *([teacher] if teacher else [])):
        network.to(device)
    return ghostify.evaluate_models(networks, data, example=example, teacher=teacher)


def tell_untrained(original: ModelContext) -> None:
    """Say so if an original that others are compared with looks untrained."""
    from ghostify.conversion.initialize import is_untrained

    if is_untrained(original.network):
        note(f"{original.source.name} looks untrained: --weights gives the original's")


def stage_of(folder: Path) -> str:
    """What the weights of an artifact are: ``converted``, or ``recovered`` since."""
    return "recovered" if read_recipe(folder).get("recovery") else "converted"


def remembered_with(folder: Path, evaluation: Evaluation) -> Evaluation:
    """The evaluation, with what an artifact remembers of other networks on the same images.

    The artifact remembers it in turn.
    """
    for data in recorded(folder, "evaluation"):
        evaluation = evaluation.including(Evaluation.from_dict(data))
    remember(folder, "evaluation", evaluation.to_dict(), part=evaluation.data)
    return evaluation
