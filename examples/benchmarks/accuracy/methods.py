"""Methods that make a network smaller without training, all from the same unlabeled images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

import ghostify
from ghostify.conversion.search import uniform_within
from ghostify.data import hold_out_batches
from ghostify.planning import plan_sites
from ghostify.planning.flops import count

from .pruning import pruned, torch_pruning_default
from .refitting import refitted

CALIBRATION_IMAGES = 640
FINETUNE_STEPS = 60


@dataclass
class Bed:
    """A trained network, unlabeled images, and the sensitivity measured on them."""

    model: nn.Module
    images: Tensor
    _sensitivity: ghostify.types.Sensitivity | None = field(default=None, init=False)

    @property
    def example(self) -> Tensor:
        return self.images[:1]

    @property
    def all_fitted(self) -> Tensor:
        """The images, and some of them again in the places that `convert` holds out."""
        count = len(self.images)
        fitted, held_out = hold_out_batches([torch.arange(count)])
        while sum(map(len, fitted)) < len(self.images):
            count += 1
            fitted, held_out = hold_out_batches([torch.arange(count)])
        order = torch.arange(count)
        for places in (*fitted, *held_out):
            order[places] = torch.arange(len(places)) % len(self.images)
        return self.images[order]

    @property
    def sensitivity(self) -> ghostify.types.Sensitivity:
        if self._sensitivity is None:
            self._sensitivity = ghostify.sensitivity(
                self.model, self.example, calibration=self.images, outputs="classes"
            )
        return self._sensitivity

    def macs_share(self, model: nn.Module) -> float:
        """Return the MACs of convolutions and linear layers, relative to the original's."""
        after, before = (count(m, self.example).conv_and_linear_macs for m in (model, self.model))
        return after / before


def one_ratio(bed: Bed, share: float, *, init: str | None = None) -> nn.Module:
    """Convert at the lowest ratio within the budget."""
    sites = ghostify.analyze(bed.model, bed.example)
    plan = uniform_within(sites, f"macs={share}", bed.sensitivity)
    return _converted(bed, plan, init=init)


def planned(bed: Bed, share: float, *, steps: int = 0, **rules: Any) -> nn.Module:
    """Convert by the plan within the budget."""
    sites = ghostify.analyze(bed.model, bed.example)
    plan = plan_sites(sites, budget=f"macs={share}", sensitivity=bed.sensitivity, **rules)
    return _converted(bed, plan, steps=steps)


def searched(bed: Bed, share: float) -> nn.Module:
    """Convert by the plan that keeps most on held-out images."""
    plan = ghostify.search(
        bed.model,
        bed.example,
        budget=f"macs={share}",
        calibration=bed.images,
        outputs="classes",
        sensitivity=bed.sensitivity,
    )
    return _converted(bed, plan)


def _converted(
    bed: Bed, plan: ghostify.Plan, *, steps: int = 0, init: str | None = None
) -> nn.Module:
    calibration = bed.all_fitted if init is None else None
    return ghostify.convert(
        bed.model,
        bed.example,
        plan=plan,
        init=init,
        calibration=calibration,
        outputs="classes",
        finetune_steps=steps,
    )


def pruning(importance: str) -> Callable[[Bed, float], nn.Module]:
    def method(bed: Bed, share: float) -> nn.Module:
        with torch.enable_grad():
            smaller, kept = pruned(bed.model, bed.example, importance, share)
        return refitted(bed.model, smaller, kept, bed.images.split(16))

    return method


def pruning_alone(importance: str) -> Callable[[Bed, float], nn.Module]:
    def method(bed: Bed, share: float) -> nn.Module:
        with torch.enable_grad():
            return pruned(bed.model, bed.example, importance, share)[0]

    return method


def torch_pruning(bed: Bed, share: float) -> nn.Module:
    return torch_pruning_default(bed.model, bed.example, share)


METHODS: dict[str, Callable[[Bed, float], nn.Module]] = {
    "random": lambda bed, share: one_ratio(bed, share, init="random"),
    "weights": lambda bed, share: one_ratio(bed, share, init="weights"),
    "ghosts, one ratio": one_ratio,
    "ghosts, planned": lambda bed, share: planned(bed, share, prune=False),
    "widths, planned": lambda bed, share: planned(bed, share, candidates=()),
    "planned": planned,
    "planned, finetune steps": lambda bed, share: planned(bed, share, steps=FINETUNE_STEPS),
    "searched": searched,
    "L1 pruning, refitted": pruning("L1"),
    "FPGM pruning, refitted": pruning("FPGM"),
    "L1 pruning": pruning_alone("L1"),
    "FPGM pruning": pruning_alone("FPGM"),
    "Torch-Pruning, default": torch_pruning,
}
