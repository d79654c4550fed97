"""The nouns every other part speaks in. Standard library only."""

from ghostify.spec.augmentation import Augmentation
from ghostify.spec.count import Count
from ghostify.spec.errors import GhostifyError
from ghostify.spec.example import Example, describe_example, split_example
from ghostify.spec.fidelity import Agreement, Fidelity
from ghostify.spec.geometry import Geometry
from ghostify.spec.ghost import GhostSpec
from ghostify.spec.inference import InferenceForm
from ghostify.spec.latencies import Latencies
from ghostify.spec.plan import Decision, Plan
from ghostify.spec.recovery import Recovery, RecoverySettings
from ghostify.spec.redundancy import LayerRedundancy, MapPair
from ghostify.spec.score import Evaluation, Score, Standing
from ghostify.spec.sensitivity import Sensitivity
from ghostify.spec.site import ConvSite
from ghostify.spec.source import ModelSource, Normalization
from ghostify.spec.trial import Trial

__all__ = [
    "Agreement",
    "Augmentation",
    "ConvSite",
    "Count",
    "Decision",
    "Evaluation",
    "Example",
    "Fidelity",
    "Geometry",
    "GhostSpec",
    "GhostifyError",
    "InferenceForm",
    "Latencies",
    "LayerRedundancy",
    "MapPair",
    "ModelSource",
    "Normalization",
    "Plan",
    "Recovery",
    "RecoverySettings",
    "Score",
    "Sensitivity",
    "Standing",
    "Trial",
    "describe_example",
    "split_example",
]
