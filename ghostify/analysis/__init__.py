"""Look at a model and change nothing: which convolutions it has, and what stands in the way."""

from ghostify.analysis.sites import analyze

__all__ = ["analyze"]
