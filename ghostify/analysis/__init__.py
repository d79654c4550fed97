"""Look at a model and change nothing: which convolutions it has, and what stands in the way."""

from ghostify.analysis.analyze import analyze

__all__ = ["analyze"]
