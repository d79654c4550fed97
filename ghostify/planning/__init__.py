"""Decide for each convolution whether a Ghost module replaces it, and which one."""

from ghostify.planning.plan import CANDIDATES, plan_sites

__all__ = ["CANDIDATES", "plan_sites"]
