"""Find the convolutions of a model, and which of them a Ghost module can replace."""

from ghostify.analysis.analyze import analyze

__all__ = ["analyze"]
