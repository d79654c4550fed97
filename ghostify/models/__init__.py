"""Networks by name, and their weights."""

from ghostify.models.checkpoint import LoadedWeights, load_weights
from ghostify.models.ghostnet import GhostFeatures, GhostNet, ghostnet, ghostnetv2, ghostnetv3
from ghostify.models.registry import build, example, names
from ghostify.nn import GhostBottleneck, SqueezeExcite

__all__ = [
    "GhostBottleneck",
    "GhostFeatures",
    "GhostNet",
    "LoadedWeights",
    "SqueezeExcite",
    "build",
    "example",
    "ghostnet",
    "ghostnetv2",
    "ghostnetv3",
    "load_weights",
    "names",
]
