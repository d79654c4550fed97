"""The state of a training: what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from ghostify.analysis.model_copy import copy_model
from ghostify.data.rng import generator_states
from ghostify.training.accelerator import reduce_sum
from ghostify.training.checkpoint import Checkpoint
from ghostify.training.held_out import has_collapsed
from ghostify.training.origin import Origin
from ghostify.training.position import Position
from ghostify.types import Recovery, RecoverySettings, Score
from ghostify.types.recovery import Selection
from ghostify.types.serialization import encode

if TYPE_CHECKING:
    from accelerate import Accelerator


_COMMON = (
    "ended", "original", "converted", "recovered", "best_epoch", "selection", "probe", "history",
)  # fmt: skip
"""What `Position` and `Recovery` have in common."""


class TrainingState:
    """Position, networks and optimizers of a training.

    Attributes:
        ema: running mean of the weights, from those of the student as given; None without.
        best: weights of `Position.best_epoch`.
        sums: totals of losses in this epoch, on the device.
        generators: generator states to resume with in mid-epoch.
    """

    def __init__(
        self, student: nn.Module, settings: RecoverySettings, accelerator: Accelerator
    ) -> None:
        self.position, self.student = Position(), student
        self.ema: AveragedModel | None = None
        self._decay = settings.ema_decay
        self.restart(student.state_dict())
        self.best: dict[str, Tensor] | None = None
        self.sums: dict[str, Tensor] = {}
        self.optimizers: list[Optimizer] = []
        self.generators: dict[str, Any] | None = None
        self._accelerator = accelerator

    @property
    def evaluated(self) -> nn.Module:
        """The network to score and to return: the EMA, if there is one."""
        return self.student if self.ema is None else self.ema.module

    def restart(self, weights: Mapping[str, Tensor]) -> None:
        """Set the weights of the student, and those that the EMA starts with."""
        self.student.load_state_dict(weights)
        if self._decay:
            average = partial(_average, self._decay)
            self.ema = AveragedModel(self.student, multi_avg_fn=average, use_buffers=True)
            self.ema.module = copy_model(self.student)  # whose functions hold its own modules
            self.ema.update_parameters(self.student)  # the first one copies

    def add_step(self, losses: Mapping[str, Tensor], images: int) -> None:
        """Count a step and its losses."""
        for name, value in {**losses, "steps": torch.ones(())}.items():
            value = value.detach().float()
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.position.step += 1
        self.position.images += images

    def begin(self, given: nn.Module, kind: str, score: Score) -> None:
        """Take the student as given for the first candidate."""
        self.position.selection = Selection(kind, score.images, 0, given=score, best=score)
        self.best = weights_of(given)

    def end_epoch(self, score: Score) -> bool:
        """Record an epoch, with mean losses over all processes; keep its weights if it is the best.

        Returns:
            Whether it has collapsed.
        """
        position = self.position
        position.epoch += 1
        totals = torch.stack([total.cpu().double() for total in self.sums.values()])
        sums = dict(zip(self.sums, reduce_sum(self._accelerator, totals).tolist(), strict=True))
        steps = sums.pop("steps")
        losses = {name: total / steps for name, total in sums.items()}
        selection = position.selection
        assert selection is not None
        record = {"epoch": position.epoch, "phase": position.phase, "step": position.step}
        record |= {"seconds": round(position.seconds, 3), "lr": position.current_lr, **losses}
        record |= {"score": encode(score)}
        if collapsed := has_collapsed(score, selection.best):
            record["back_to"] = position.best_epoch
        if score.better_than(selection.best):
            position.best_epoch, position.stale = position.epoch, 0
            position.selection = replace(selection, best=score)
            self.best = weights_of(self.evaluated)
        else:
            position.stale += 1
        position.history += (record,)
        position.batch, self.sums = 0, {}
        return collapsed

    def checkpoint(self, origin: Origin) -> Checkpoint:
        """Return the state as a checkpoint of the training of that origin."""
        self.position.sums = {name: float(total) for name, total in self.sums.items()}
        scaler = self._accelerator.scaler
        tensors = {
            "student": self.student.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "best": self.best,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "scaler": scaler and scaler.state_dict(),
            "generators": generator_states(),
        }
        return Checkpoint(origin, self.position, tensors)

    def load(self, tensors: Mapping[str, Any]) -> None:
        """Load the tensors of a checkpoint. Its position and the optimizers must be there."""
        self.student.load_state_dict(tensors["student"])
        if self.ema is not None:
            self.ema.load_state_dict(tensors["ema"])
        for optimizer, state in zip(self.optimizers, tensors["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        if self._accelerator.scaler and tensors["scaler"]:
            self._accelerator.scaler.load_state_dict(tensors["scaler"])
        self.best = tensors["best"]
        self.sums = {name: torch.tensor(total) for name, total in self.position.sums.items()}
        self.generators = tensors["generators"] if self.position.batch else None

    def outcome(self, settings: RecoverySettings) -> Recovery:
        """Return the record of the training."""
        position = self.position
        return Recovery(
            settings=settings,
            steps=position.step,
            images=position.images * self._accelerator.num_processes,
            seconds=position.seconds + position.probe_seconds,
            **{name: getattr(position, name) for name in _COMMON},
        )


@torch.no_grad()
def _average(decay: float, averages: Any, tensors: Any, _: Any) -> None:
    """Update running means of tensors of one type; torch's would blur the order of channels."""
    if averages[0].is_floating_point():
        torch._foreach_lerp_(averages, tensors, 1 - decay)
    else:
        torch._foreach_copy_(averages, tensors)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the weights and buffers."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
