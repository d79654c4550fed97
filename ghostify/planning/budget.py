"""What a network may cost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

from ghostify.planning.cost import cost_named
from ghostify.types import GhostifyError

_PREFIXES = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BUDGET = re.compile(r"\s*(\w+)\s*<?=\s*(.*?)\s*")
_NUMBER = re.compile(r"((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([KMGT]?)", re.IGNORECASE)
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Budget:
    """The most of one cost that the whole network may have.

    Attributes:
        cost: its name in `ghostify.planning.cost.COSTS`.
        limit: in the unit of the cost, or as a share of what the original costs.
        share: which of the two.

    Raises:
        GhostifyError: if the cost is unknown or the limit is out of range.
    """

    cost: str
    limit: float
    share: bool = False

    def __post_init__(self) -> None:
        cost_named(self.cost)
        if not isfinite(self.limit) or self.limit <= 0:
            raise GhostifyError(f"the limit (={self.limit:g}) must be a finite number above 0")
        if self.share and self.limit > 1:
            raise GhostifyError(f"a share (={self.limit:g}) of the original is at most 1")

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read ``macs=0.5``, ``params<=4M`` or ``macs=1.2e9``.

        A number up to 1 without an SI prefix (K, M, G, T) is a share of the original.

        Raises:
            GhostifyError: with the text and what is wrong with it.
        """
        try:
            if not (parts := _BUDGET.fullmatch(text)):
                raise GhostifyError("it looks like macs=0.5 or params=4M")
            cost, number = parts.groups()
            if not (digits := _NUMBER.fullmatch(number)):
                raise GhostifyError(f"{number!r} is no number such as 0.5, 4M or 1.2e9")
            limit, prefix = float(digits[1]), digits[2].upper()
            return cls(cost, limit * _PREFIXES[prefix], share=not prefix and limit <= 1)
        except GhostifyError as error:
            raise GhostifyError(f"budget {text!r}: {error}") from error

    def bound(self, total: float) -> float:
        """The limit in the unit of the cost, for a network that costs ``total``.

        A billionth is added, since 0.29 of 100 would be 28.999999999999996.
        """
        return (self.limit * total if self.share else self.limit) * (1 + _ROUNDING)

    def describe(self, cost: float, total: float) -> str:
        """A cost in the terms of the budget, rounded up: ``0.275 (1.13G)`` or ``1.13G``."""
        if not self.share or not total:
            return _si(cost)
        return f"{_rounded_up(cost / total):g} ({_si(cost)})"

    def __str__(self) -> str:
        return f"{self.cost}={self.limit:g}" if self.share else f"{self.cost}={_si(self.limit)}"


Budgets = str | Budget | Mapping[str, float | str] | Iterable[str | Budget]
"""``"macs=0.5"``, ``{"macs": 0.5, "params": "4M"}``, or several of the former."""


def parse_budgets(given: Budgets) -> tuple[Budget, ...]:
    """The budgets one by one.

    Raises:
        GhostifyError: if one is not of its form, if there is none, or two for the same cost.
    """
    if isinstance(given, (str, Budget)):
        given = (given,)
    elif isinstance(given, Mapping):
        given = [f"{cost}={limit}" for cost, limit in given.items()]
    budgets = tuple(b if isinstance(b, Budget) else Budget.parse(b) for b in given)
    if not budgets:
        raise GhostifyError("no budget is given: it looks like macs=0.5")
    names = [budget.cost for budget in budgets]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise GhostifyError(f"budget {twice} is given twice")
    return budgets


def _si(number: float) -> str:
    number = _rounded_up(number)
    prefix = next((p for p in reversed(_PREFIXES) if number >= _PREFIXES[p]), "")
    return f"{number / _PREFIXES[prefix]:g}{prefix}"


def _rounded_up(number: float) -> float:
    """To three significant digits."""
    if number <= 0:
        return number
    step = 2 - floor(log10(number))
    return ceil(round(number * 10.0**step, 6)) / 10.0**step
