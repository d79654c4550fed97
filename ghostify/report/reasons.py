"""Why layers are as they were, as a table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from math import nan

from ghostify.planning import cost
from ghostify.report.document import Column, Table, numeric, summarize_names
from ghostify.types import ConvSite


def list_reasons(
    title: str, reasons: Iterable[tuple[str | None, ConvSite]], total_macs: int
) -> Table | None:
    """Return a row for each reason: the layers, and their share of all MACs; None without rows.

    Reasons that differ in the numbers of layers alone are one, with ``*`` for the numbers. Layers
    without a reason are left out.
    """
    given = [(reason, site) for reason, site in reasons if reason]
    alike = _patterns([reason for reason, _ in given])
    groups: dict[str, list[ConvSite]] = {}
    for reason, site in given:
        groups.setdefault(alike[reason], []).append(site)
    if not groups:
        return None
    rows = []
    for reason, sites in groups.items():
        share = sum(map(cost.macs, sites)) / total_macs if total_macs else nan
        names = summarize_names(site.name for site in sites)
        rows.append((reason, names, str(len(sites)), f"{share:.1%}"))
    wrapped = (Column("reason", wrap=True), Column("layers", wrap=True))
    columns = (*wrapped, *numeric("count", "of all MACs"))
    return Table(f"{title}: {len(given)}", columns, tuple(rows))


def _patterns(reasons: Sequence[str]) -> dict[str, str]:
    """Return each reason, or its pattern if others have the same."""
    patterns = {reason: re.sub(r"\d+", "*", reason) for reason in reasons}
    number = Counter(patterns.values())
    return {r: pattern if number[pattern] > 1 else r for r, pattern in patterns.items()}
