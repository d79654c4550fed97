"""The multiple-choice knapsack: one option a site, the least damage within all limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ghostify.planning.solver import choose
from ghostify.spec import GhostSpec


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
