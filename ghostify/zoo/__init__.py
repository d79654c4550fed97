"""Networks to start from, by name, and the weights to fill them with."""

from ghostify.layers import GhostBottleneck, SqueezeExcite
from ghostify.zoo.family.features import GhostFeatures
from ghostify.zoo.family.ghostnet import ghostnet
from ghostify.zoo.family.network import GhostNet
from ghostify.zoo.naming import build, example, names
from ghostify.zoo.weights import LoadedWeights, load_weights

__all__ = [
    "GhostBottleneck",
    "GhostFeatures",
    "GhostNet",
    "LoadedWeights",
    "SqueezeExcite",
    "build",
    "example",
    "ghostnet",
    "load_weights",
    "names",
]
