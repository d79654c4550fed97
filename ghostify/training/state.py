"""The state of a training: what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ghostify.data.rng import generator_states
from ghostify.training.accelerator import reduce_sum
from ghostify.training.checkpoint import Checkpoint
from ghostify.types import Recovery, RecoverySettings, Score
from ghostify.types.serialization import Serializable, encode

if TYPE_CHECKING:
    from accelerate import Accelerator


_COMMON = ("seconds", "ended", "original", "converted", "recovered", "best_epoch", "history")
"""What `Position` and `Recovery` have in common."""


@dataclass
class Position(Serializable):
    """How far a training is.

    Attributes:
        batch: next batch of the epoch.
        images: images that this process has trained on.
        phase: current phase, whose optimizers exist.
        stale: epochs since the best one.
        ended: empty while the training runs; this and the rest are those of `Recovery`.
        sums: totals of losses in this epoch, and ``steps``.
        scales: scales of feature-map errors.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    images: int = 0
    seconds: float = 0.0
    phase: str = ""
    stale: int = 0
    ended: str = ""
    sums: Mapping[str, float] = field(default_factory=dict)
    scales: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    original: Score | None = None
    converted: Score | None = None
    recovered: Score | None = None
    best_epoch: int = 0
    history: tuple[Mapping[str, Any], ...] = ()


class TrainingState:
    """Position, networks and optimizers of a training.

    Attributes:
        best: weights of `Position.best_epoch`; None without validation data.
        sums: totals of losses in this epoch, on the device.
        generators: generator states to resume with in mid-epoch.
    """

    def __init__(
        self, student: nn.Module, settings: RecoverySettings, accelerator: Accelerator
    ) -> None:
        self.position, self.student = Position(), student
        self.ema: AveragedModel | None = None
        if settings.ema_decay:
            average = get_ema_multi_avg_fn(settings.ema_decay)  # type: ignore[no-untyped-call]
            self.ema = AveragedModel(student, multi_avg_fn=average, use_buffers=True)
        self.best: dict[str, Tensor] | None = None
        self.sums: dict[str, Tensor] = {}
        self.optimizers: list[Optimizer] = []
        self.generators: dict[str, Any] | None = None
        self._accelerator = accelerator

    @property
    def evaluated(self) -> nn.Module:
        """The network to score and to return: the EMA, if there is one."""
        return self.student if self.ema is None else self.ema.module

    def add_step(self, losses: Mapping[str, Tensor], images: int) -> None:
        """Count a step and its losses."""
        for name, value in {**losses, "steps": torch.ones(())}.items():
            value = value.detach().float()
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.position.step += 1
        self.position.images += images

    def keep_if_best(self, model: nn.Module, score: Score | None) -> None:
        """Keep the weights of a network if its score is the best of the training."""
        position, best = self.position, self.position.recovered
        if score is None:
            position.best_epoch = position.epoch
        elif best is None or score.better_than(best):
            position.best_epoch, position.recovered, position.stale = position.epoch, score, 0
            self.best = {name: t.detach().clone() for name, t in model.state_dict().items()}
        else:
            position.stale += 1

    def end_epoch(self, score: Score | None) -> None:
        """Record an epoch, with mean losses over all processes, and go on to the next."""
        position = self.position
        position.epoch += 1
        totals = torch.stack([total.cpu().double() for total in self.sums.values()])
        sums = dict(zip(self.sums, reduce_sum(self._accelerator, totals).tolist(), strict=True))
        steps = sums.pop("steps")
        losses = {name: total / steps for name, total in sums.items()}
        self.keep_if_best(self.evaluated, score)
        record = {"epoch": position.epoch, "phase": position.phase, "step": position.step}
        record |= {"seconds": round(position.seconds, 3), **losses, "score": encode(score)}
        position.history += (record,)
        position.batch, self.sums = 0, {}

    def checkpoint(self) -> Checkpoint:
        """Return the state as a checkpoint."""
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
        return Checkpoint(self.position.to_dict(), tensors)

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
            **{name: getattr(position, name) for name in _COMMON},
        )
