"""A binary linear program, solved exactly by HiGHS."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ghostify.types import GhostSpec

_SCALE = 1e6
"""Of the greatest number in a row: the solver's tolerances are absolute, about 1e-6."""


def choose(
    groups: Sequence[int],
    objective: Sequence[float],
    rows: Sequence[Sequence[float]],
    limits: Sequence[float],
) -> list[int] | None:
    """One item of each group, so that the sum of ``objective`` is least.

    Args:
        groups: the group of each item; all from 0 on are there.
        objective: one number for each item.
        rows: for each limit, one number for each item.
        limits: the most that the sum over the chosen items may be in each row.

    Returns:
        The indices of the chosen items; None if no choice is within the limits.
    """
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    items = len(groups)
    one_each = csr_array((np.ones(items), (groups, np.arange(items))))
    costs = np.array(rows, float)
    scales = _SCALE / np.maximum(np.abs(costs).max(axis=1), 1)
    damages = np.array(objective, float)
    greatest = np.abs(damages).max()
    with _stdout_closed():
        result = milp(
            damages / greatest * _SCALE if greatest else damages,
            integrality=np.ones(items),
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
    return [int(index) for index in np.flatnonzero(result.x > 0.5)]


@contextmanager
def _stdout_closed() -> Iterator[None]:
    """HiGHS 1.12 prints a stray line whatever it is told (ERGO-Code/HiGHS issue 2783)."""
    try:
        stdout = os.dup(1)
    except OSError:  # there is none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
        os.close(nowhere)


@dataclass(frozen=True, slots=True)
class Option:
    """What a site may become, and what that brings.

    Attributes:
        ghost: the Ghost module; None to leave the site dense.
        damage: in any unit.
        costs: one for each limit.
    """

    ghost: GhostSpec | None
    damage: float
    costs: tuple[float, ...]

    def dominates(self, other: Option) -> bool:
        """Whether it neither hurts nor costs more."""
        return self.damage <= other.damage and all(
            mine <= its for mine, its in zip(self.costs, other.costs, strict=True)
        )


def allocate(sites: Sequence[Sequence[Option]], limits: Sequence[float]) -> list[Option] | None:
    """One of each site's options, so that the sum of damages is least and every limit holds.

    Exact, by mixed-integer linear programming. An option that another one of its site dominates is
    never chosen; of equals the first stands.

    Returns:
        The choice at each site; None if no selection is within the limits.
    """
    if not sites:
        return []
    useful = [_undominated(options) for options in sites]
    items = [option for options in useful for option in options]
    chosen = choose(
        groups=[place for place, options in enumerate(useful) for _ in options],
        objective=[option.damage for option in items],
        rows=list(zip(*(option.costs for option in items), strict=True)),
        limits=limits,
    )
    return None if chosen is None else [items[index] for index in chosen]


def _undominated(options: Sequence[Option]) -> list[Option]:
    kept: list[Option] = []
    for option in options:
        if not any(other.dominates(option) for other in kept):
            kept = [other for other in kept if not option.dominates(other)] + [option]
    return kept
