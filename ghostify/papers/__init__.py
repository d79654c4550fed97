"""The tables of the GhostNet papers, and their networks counted again."""

from ghostify.papers.printed import NAMES, read_table
from ghostify.papers.recounting import Progress, recount

__all__ = ["NAMES", "Progress", "read_table", "recount"]
