"""Networks to start from, by name, and the weights to fill them with."""

from ghostify.layers import GhostBottleneck, SqueezeExcite
from ghostify.zoo.family.features import GhostFeatures
from ghostify.zoo.family.ghostnet import ghostnet
from ghostify.zoo.family.ghostnetv2 import ghostnetv2
from ghostify.zoo.family.ghostnetv3 import ghostnetv3
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
    "ghostnetv2",
    "ghostnetv3",
    "load_weights",
    "names",
]
