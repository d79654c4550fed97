"""Multiple-choice knapsack problem, solved exactly by HiGHS."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ghostify.types import GhostSpec

_SCALE = 1e6  # largest number of a row: the solver has absolute tolerances of about 1e-6


@dataclass(frozen=True, slots=True)
class Option:
    """One choice for a site.

    Attributes:
        ghost: the Ghost module; None keeps the convolution.
        loss_increase: estimated loss increase, in any unit.
        costs: one cost for each limit.
    """

    ghost: GhostSpec | None
    loss_increase: float
    costs: tuple[float, ...]

    def dominates(self, other: Option) -> bool:
        """Whether neither loss increase nor any cost is above that of ``other``."""
        return self.loss_increase <= other.loss_increase and all(
            mine <= its for mine, its in zip(self.costs, other.costs, strict=True)
        )


def choose(sites: Sequence[Sequence[Option]], limits: Sequence[float]) -> list[Option] | None:
    """Choose one option per site with the least total loss increase within every limit.

    Dominated options are never chosen. Of two equal options, the first is kept.

    Returns:
        The chosen option of each site; None if no choice is within the limits.
    """
    if not sites:
        return []
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    items = [(place, option) for place, site in enumerate(sites) for option in _undominated(site)]
    ones = np.ones(len(items))
    one_each = csr_array((ones, ([place for place, _ in items], np.arange(len(items)))))
    costs = np.array([option.costs for _, option in items], float).T
    scales = _SCALE / np.maximum(np.abs(costs).max(axis=1), 1)
    values = np.array([option.loss_increase for _, option in items], float)
    with _stdout_closed():
        result = milp(
            values / (np.abs(values).max() or 1) * _SCALE,
            integrality=ones,
            bounds=Bounds(0, 1),
            constraints=[
                LinearConstraint(one_each, 1, 1),
                LinearConstraint(costs * scales[:, None], ub=np.array(limits) * scales),
            ],
            options={"mip_rel_gap": 0},
        )
    if result.status == 2:  # infeasible
        return None
    if result.status != 0:
        raise RuntimeError(f"no optimum found: {result.message}")
    return [items[index][1] for index in np.flatnonzero(result.x > 0.5)]


def _undominated(options: Sequence[Option]) -> list[Option]:
    kept: list[Option] = []
    for option in options:
        if not any(other.dominates(option) for other in kept):
            kept = [other for other in kept if not option.dominates(other)] + [option]
    return kept


@contextmanager
def _stdout_closed() -> Iterator[None]:
    """Discard a line that HiGHS 1.12 prints (ERGO-Code/HiGHS issue 2783)."""
    try:
        stdout = os.dup(1)
    except OSError:  # stdout is closed already
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 1)
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
        os.close(null)
