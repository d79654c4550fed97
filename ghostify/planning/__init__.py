"""Decide, for every site, what becomes of it. A plan is data; nothing is changed here."""

from ghostify.planning.budgeted import CANDIDATES
from ghostify.planning.plan import plan_sites

__all__ = ["CANDIDATES", "plan_sites"]
