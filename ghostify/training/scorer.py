"""Score networks on held-out images while one of them is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from ghostify.analysis.preserve import eval_mode, preserve_rng
from ghostify.data import images_in
from ghostify.evaluation.evaluate import compute_score
from ghostify.training import objectives
from ghostify.training.accelerator import reduce_sum
from ghostify.training.feature_maps import ComparedLayer
from ghostify.training.loader import ShardedLoader
from ghostify.types import Outputs, RecoverySettings, Score

if TYPE_CHECKING:
    from accelerate import Accelerator

_LOSS_IMAGES = 256
"""Held-out images whose loss is measured."""


@dataclass(frozen=True)
class Scorer:
    """Scores networks against the teacher. Generator states stay as they are.

    Attributes:
        layers, scales: as in `objectives.Objective`.
    """

    accelerator: Accelerator
    teacher: nn.Module
    settings: RecoverySettings
    outputs: Outputs
    layers: Sequence[ComparedLayer]
    scales: Mapping[str, Sequence[float]]

    def score(self, model: nn.Module, loader: ShardedLoader) -> Score:
        """Score a network.

        The relative error is that of the losses where no outputs can be compared, such as those of
        detectors whose boxes differ in number.
        """
        summed = partial(reduce_sum, self.accelerator)
        with preserve_rng(), eval_mode(model):
            batches = loader.epoch(0)
            score = compute_score(model, batches, self.outputs, teacher=self.teacher, reduce=summed)
        if not score.is_comparable:
            score = replace(score, relative_error=self.loss(model, loader))
        return score

    @torch.no_grad()
    def loss(self, model: nn.Module, loader: ShardedLoader) -> float:
        """Return the mean loss per image, of at most 256 images."""
        totals = torch.zeros(2, dtype=torch.float64)
        objective = objectives.EndToEnd(
            self.teacher, model, self.layers, self.scales, self.settings, self.outputs
        )
        with preserve_rng(), eval_mode(model):
            for inputs, labels in loader.epoch(0):
                if images := images_in(inputs):
                    loss = float(objective(inputs, labels)["loss"])
                    totals += torch.tensor([loss * images, images], dtype=torch.float64)
                if totals[1] * self.accelerator.num_processes >= _LOSS_IMAGES:
                    break
        totals = reduce_sum(self.accelerator, totals)
        return float(totals[0] / totals[1])
