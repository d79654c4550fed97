"""Limits on the cost of a network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

from ghostify.planning.cost import COSTS
from ghostify.types import GhostifyError

_PREFIXES = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BUDGET = re.compile(r"\s*(\w+)\s*<?=\s*(.*?)\s*")
_NUMBER = re.compile(r"((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([KMGT]?)", re.IGNORECASE)
_ROUNDING = 1e-9


class UnmetBudgetError(GhostifyError):
    """No plan is within a budget."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Upper limit for one cost of the whole network.

    Attributes:
        cost: name of the cost, a key of `ghostify.planning.cost.COSTS`.
        limit: limit in the unit of the cost, or as a share of the original's cost.
        share: whether ``limit`` is a share.
    """

    cost: str
    limit: float
    share: bool = False

    def __post_init__(self) -> None:
        if self.cost not in COSTS:
            raise GhostifyError(f"unknown cost {self.cost!r}: known are {', '.join(COSTS)}")
        if not isfinite(self.limit) or self.limit <= 0:
            raise GhostifyError(f"`limit` (={self.limit:g}) must be a finite number above 0")
        if self.share and self.limit > 1:
            raise GhostifyError(f"`limit` (={self.limit:g}) must be at most 1: it is a share")

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Parse a budget such as ``macs=0.5``, ``params<=4M`` or ``macs=1.2e9``.

        A number up to 1 without an SI prefix (K, M, G, T) is a share of the original's cost.
        """
        try:
            if not (parts := _BUDGET.fullmatch(text)):
                raise GhostifyError("must be of the form macs=0.5 or params=4M")
            cost, number = parts.groups()
            if not (digits := _NUMBER.fullmatch(number)):
                raise GhostifyError(f"{number!r} must be a number such as 0.5, 4M or 1.2e9")
            limit, prefix = float(digits[1]), digits[2].upper()
            return cls(cost, limit * _PREFIXES[prefix], share=not prefix and limit <= 1)
        except GhostifyError as error:
            raise GhostifyError(f"budget {text!r}: {error}") from error

    def bound(self, total: float) -> float:
        """Return the limit in the unit of the cost, for an original that costs ``total``.

        It is a billionth higher, since 0.29 * 100 is 28.999999999999996.
        """
        return (self.limit * total if self.share else self.limit) * (1 + _ROUNDING)

    def describe(self, cost: float, total: float) -> str:
        """Format a cost as the budget is written, rounded up: ``0.275 (1.13G)`` or ``1.13G``."""
        if not self.share or not total:
            return _si(cost)
        return f"{_rounded_up(cost / total):g} ({_si(cost)})"

    def __str__(self) -> str:
        return f"{self.cost}={self.limit:g}" if self.share else f"{self.cost}={_si(self.limit)}"


Budgets = str | Budget | Mapping[str, float | str] | Iterable[str | Budget]
"""``"macs=0.5"``, ``{"macs": 0.5, "params": "4M"}``, or several budgets."""


def parse_budgets(given: Budgets) -> tuple[Budget, ...]:
    """Parse one or several budgets for different costs."""
    if isinstance(given, (str, Budget)):
        given = (given,)
    elif isinstance(given, Mapping):
        given = [f"{cost}={limit}" for cost, limit in given.items()]
    budgets = tuple(b if isinstance(b, Budget) else Budget.parse(b) for b in given)
    if not budgets:
        raise GhostifyError("`budget` must hold at least one budget, such as macs=0.5")
    names = [budget.cost for budget in budgets]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise GhostifyError(f"budget {twice} is given twice")
    return budgets


def _si(number: float) -> str:
    number = _rounded_up(number)
    prefix = next((p for p in reversed(_PREFIXES) if number >= _PREFIXES[p]), "")
    return f"{number / _PREFIXES[prefix]:g}{prefix}"


def _rounded_up(number: float) -> float:
    """Round up to three significant digits."""
    if number <= 0:
        return number
    step = 2 - floor(log10(number))
    return ceil(round(number * 10.0**step, 6)) / 10.0**step
