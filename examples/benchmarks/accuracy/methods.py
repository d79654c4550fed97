"""Methods that make a network smaller without training, all from the same unlabeled images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

import ghostify
from ghostify.conversion.search import uniform_within
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
    def sensitivity(self) -> ghostify.types.Sensitivity:
        if self._sensitivity is None:
            self._sensitivity = ghostify.sensitivity(
                self.model, self.example, calibration=self.images
            )
        return self._sensitivity

    def macs_share(self, model: nn.Module) -> float:
        """Return the MACs of convolutions and linear layers, relative to the original's."""
        after, before = (count(m, self.example).conv_and_linear_macs for m in (model, self.model))
        return after / before


def uniform(bed: Bed, share: float, *, steps: int = 0, init: str | None = None) -> nn.Module:
    sites = ghostify.analyze(bed.model, bed.example)
    plan = uniform_within(sites, f"macs={share}", bed.sensitivity)
    return _converted(bed, plan, steps, init)


def planned(bed: Bed, share: float, *, steps: int = 0) -> nn.Module:
    sites = ghostify.analyze(bed.model, bed.example)
    plan = plan_sites(sites, budget=f"macs={share}", sensitivity=bed.sensitivity)
    return _converted(bed, plan, steps)


def searched(bed: Bed, share: float) -> nn.Module:
    plan = ghostify.search(
        bed.model,
        bed.example,
        budget=f"macs={share}",
        calibration=bed.images,
        sensitivity=bed.sensitivity,
    )
    return _converted(bed, plan, 0)


def _converted(bed: Bed, plan: ghostify.Plan, steps: int, init: str | None = None) -> nn.Module:
    calibration = bed.images if init is None else None
    return ghostify.convert(
        bed.model,
        bed.example,
        plan=plan,
        init=init,
        calibration=calibration,
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
    "random": lambda bed, share: uniform(bed, share, init="random"),
    "weights": lambda bed, share: uniform(bed, share, init="weights"),
    "calibrated, uniform": uniform,
    "calibrated, uniform, finetune steps": lambda b, share: uniform(b, share, steps=FINETUNE_STEPS),
    "calibrated, planned": planned,
    "calibrated, planned, finetune steps": lambda b, share: planned(b, share, steps=FINETUNE_STEPS),
    "calibrated, searched": searched,
    "L1 pruning, refitted": pruning("L1"),
    "FPGM pruning, refitted": pruning("FPGM"),
    "L1 pruning": pruning_alone("L1"),
    "FPGM pruning": pruning_alone("FPGM"),
    "Torch-Pruning, default": torch_pruning,
}
