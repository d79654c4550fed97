"""Choice of the learning rate: a few steps at each of a few rates, from the same state."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from ghostify.training.clock import Budget

RATES: dict[str, tuple[float, ...]] = {
    "adamw": (1e-2, 3e-3, 1e-3, 3e-4, 1e-4),
    "sgd": (1e-1, 3e-2, 1e-2, 3e-3, 1e-3),
    "muon": (5e-3, 2e-3, 5e-4, 2e-4, 5e-5),
}
"""Peak learning rates to choose among, by optimizer."""

_CAUTIOUS = 2
"""Number of the rate of trainings that are too short for a probe."""

_LONG = 200
"""Steps of a training from which on the highest rate is tried: shorter ones end worse with it."""

_SHARE = 0.2
"""Share of the training that the probe takes if it tries all rates."""

_FEWEST, _MOST = 4, 24
"""Steps at each rate."""

_STABLE = 2.0
"""Held-out loss, relative to that of the start, up to which a rate is stable."""

Try = Callable[[float, int, float], tuple[float, int]]
"""Trains from the start at a rate, for some steps and seconds at most.

Returns the loss on held-out images, and how many steps it were.
"""


def choose_lr(
    optimizer: str, budget: Budget, attempt: Try
) -> tuple[float, tuple[Mapping[str, float], ...]]:
    """Return the highest stable learning rate, and the losses that it was chosen by.

    A rate is stable if the loss on held-out images after a few steps, with a short warm-up, is at
    most twice that of the start. The decay of the rate makes up for that much, and higher rates
    end better. Rates are tried from the highest down, until one is stable. A training of fewer
    than 200 steps, or without the time for them, does not take the highest; one of fewer than 80
    steps takes the middle one without a probe.
    """
    rates = RATES[optimizer]
    steps, seconds = _MOST, math.inf
    if budget.steps is not None:
        rates = rates if budget.steps >= _LONG else rates[1:]
        steps = min(int(_SHARE * budget.steps / len(rates)), _MOST)
    if budget.seconds is not None:
        seconds = _SHARE * budget.seconds / len(rates)
    if steps < _FEWEST:
        return RATES[optimizer][_CAUTIOUS], ()
    start, _ = attempt(0.0, 0, seconds)
    losses = {0.0: start}
    for rate in rates:
        losses[rate], steps = attempt(rate, steps, seconds)
        is_long = seconds == math.inf or steps * len(rates) >= _SHARE * _LONG
        seconds = math.inf  # the next ones take as many steps as there was time for
        if losses[rate] <= _STABLE * start and is_long:
            break
    return rate, tuple({"lr": lr, "loss": loss} for lr, loss in losses.items())
