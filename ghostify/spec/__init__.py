"""The nouns every other part speaks in. Standard library only."""

from ghostify.spec.errors import GhostifyError
from ghostify.spec.example import Example, describe_example, split_example
from ghostify.spec.geometry import Geometry
from ghostify.spec.ghost import GhostSpec
from ghostify.spec.plan import Decision, Plan
from ghostify.spec.site import ConvSite
from ghostify.spec.source import ModelSource

__all__ = [
    "ConvSite",
    "Decision",
    "Example",
    "Geometry",
    "GhostSpec",
    "GhostifyError",
    "ModelSource",
    "Plan",
    "describe_example",
    "split_example",
]
