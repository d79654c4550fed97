"""Networks to start from, by name, and the weights to fill them with."""

from ghostify.zoo.naming import build, example, names
from ghostify.zoo.weights import LoadedWeights, load_weights

__all__ = ["LoadedWeights", "build", "example", "load_weights", "names"]
