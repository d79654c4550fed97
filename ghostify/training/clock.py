"""Training time and its budget."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ghostify.training.accelerator import reduce_sum
from ghostify.types import GhostifyError, RecoverySettings

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Budget:
    """Limits of a training; the one that is reached first ends it.

    Attributes:
        steps: optimizer steps; None is unlimited.
        seconds: training time; None is unlimited.
    """

    steps: int | None
    seconds: float | None

    @classmethod
    def of(cls, settings: RecoverySettings, batches: Any) -> Budget:
        """Return the budget of a training; an epoch has ``len(batches)`` steps, if known."""
        seconds = settings.minutes and 60 * settings.minutes
        if settings.max_epochs is None:
            return cls(None, seconds)
        try:
            steps = settings.max_epochs * len(batches)
        except TypeError:
            if seconds is None:
                raise GhostifyError("`data` has no length: pass `minutes`") from None
            return cls(None, seconds)
        if steps == 0:
            raise GhostifyError("`data` is empty")
        return cls(steps, seconds)

    def spent(self, steps: float, seconds: float) -> float:
        """Return the share that is spent, from 0 to 1."""
        shares = [0.0]
        shares += [steps / self.steps] if self.steps else []
        shares += [seconds / self.seconds] if self.seconds else []
        return min(max(shares), 1.0)


class Clock:
    """Training time, the same in all processes, without validation and checkpoints.

    Attributes:
        seconds: training time so far.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self.seconds = 0.0
        self._accelerator = accelerator
        self._last = time.perf_counter()

    def restart(self) -> None:
        """Exclude the time since the last tick."""
        self._last = time.perf_counter()

    def tick(self, interrupted: bool) -> bool:
        """Add the time since the last tick; return whether any process was interrupted.

        All processes must call it at the same step. They take the main process's time.
        """
        now = time.perf_counter()
        passed, self._last = now - self._last, now
        if self._accelerator.num_processes > 1:
            own = [passed * self._accelerator.is_main_process, float(interrupted)]
            totals = reduce_sum(self._accelerator, torch.tensor(own, dtype=torch.float64))
            passed, interrupted = float(totals[0]), bool(totals[1])
        self.seconds += passed
        return interrupted
