"""Training time: its budget, the schedule that follows it, and signals that end it."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ghostify.training.accelerator import reduce_sum
from ghostify.training.objectives import EndToEnd, Layerwise
from ghostify.types import GhostifyError, RecoverySettings

if TYPE_CHECKING:
    from accelerate import Accelerator


_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
"""Signals that end a training after a checkpoint; Windows has no SIGHUP."""

_IMPATIENT = 1.0
"""Seconds after a signal from which on another one ends a training without a checkpoint."""


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
        try:
            steps = settings.max_epochs and settings.max_epochs * len(batches)
        except TypeError:
            if seconds is None:
                raise GhostifyError("`data` has no length: pass `minutes`") from None
            steps = None
        if steps == 0:
            raise GhostifyError("`data` is empty")
        return cls(steps, seconds)

    def spent(self, steps: float, seconds: float, probe_seconds: float = 0.0) -> float:
        """Return the share that is spent, from 0 to 1, of what the probe of rates has left."""
        left = self.seconds and max(self.seconds - probe_seconds, 1e-9)
        pairs = ((steps, self.steps), (seconds, left))
        return min(max((done / limit for done, limit in pairs if limit), default=0.0), 1.0)


class Clock:
    """Training time, the same in all processes, without validation and checkpoints.

    Attributes:
        seconds: training time so far.
        interrupted: whether this process has received SIGINT, SIGTERM or SIGHUP.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self.seconds = 0.0
        self.interrupted = False
        self._accelerator = accelerator
        self._last = time.perf_counter()

    @contextmanager
    def catching_signals(self) -> Iterator[None]:
        """Set ``interrupted`` at a signal; a second one, a second later, raises at once.

        Launchers and schedulers may pass one signal on twice. Signals that are ignored, such as
        those of a hang-up under nohup, stay so. Python delivers signals to the main thread only;
        in other threads nothing changes.
        """
        first = math.inf

        def handle(*_: Any) -> None:
            nonlocal first
            now = time.perf_counter()
            if now - first >= _IMPATIENT:
                raise KeyboardInterrupt
            self.interrupted, first = True, min(first, now)

        is_main = threading.current_thread() is threading.main_thread()
        heard = [n for n in _SIGNALS if is_main and signal.getsignal(n) != signal.SIG_IGN]
        before = {number: signal.signal(number, handle) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def restart(self) -> None:
        """Exclude the time since the last tick."""
        self._last = time.perf_counter()

    def tick(self) -> bool:
        """Add the time since the last tick; return whether any process was interrupted.

        All processes must call it at the same step. They take the main process's time.
        """
        now = time.perf_counter()
        passed, self._last, interrupted = now - self._last, now, self.interrupted
        if self._accelerator.num_processes > 1:
            own = [passed * self._accelerator.is_main_process, float(interrupted)]
            totals = reduce_sum(self._accelerator, torch.tensor(own, dtype=torch.float64))
            passed, interrupted = float(totals[0]), bool(totals[1])
        self.seconds += passed
        return interrupted


def phase_at(spent: float, settings: RecoverySettings) -> tuple[str, float]:
    """Return the name of the current phase and the share of it that is spent.

    Args:
        spent: share of the whole training that is spent, 0 to 1.
    """
    if spent < settings.layerwise_fraction:
        return Layerwise.name, spent / settings.layerwise_fraction
    rest = 1 - settings.layerwise_fraction
    return EndToEnd.name, (spent - settings.layerwise_fraction) / rest if rest else 1.0


def lr_at(share: float, peak: float, warmup: float) -> float:
    """Return the learning rate after a share of a phase: linear warm-up, then cosine decay."""
    if share < warmup:
        return peak * share / warmup
    after = (share - warmup) / max(1 - warmup, 1e-12)
    return peak * (1 + math.cos(math.pi * min(after, 1.0))) / 2
