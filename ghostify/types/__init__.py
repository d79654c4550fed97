"""Data that the rooms pass to each other. Standard library only."""

from ghostify.types.augmentation import Augmentation
from ghostify.types.conv_site import ConvSite, Geometry
from ghostify.types.deployment_report import DeploymentReport
from ghostify.types.errors import GhostifyError
from ghostify.types.fidelity import Fidelity
from ghostify.types.ghost_spec import GhostSpec
from ghostify.types.inputs import Example, describe_example, split_example
from ghostify.types.layer_latency import LayerLatencies
from ghostify.types.model_count import Count
from ghostify.types.model_source import ModelSource, Normalization
from ghostify.types.plan import Decision, Plan, PlanCandidate
from ghostify.types.recovery import Recovery, RecoverySettings
from ghostify.types.redundancy import FeatureMapPair, LayerRedundancy
from ghostify.types.score import Score
from ghostify.types.sensitivity import Sensitivity

__all__ = [
    "Augmentation",
    "ConvSite",
    "Count",
    "Decision",
    "DeploymentReport",
    "Example",
    "FeatureMapPair",
    "Fidelity",
    "Geometry",
    "GhostSpec",
    "GhostifyError",
    "LayerLatencies",
    "LayerRedundancy",
    "ModelSource",
    "Normalization",
    "Plan",
    "PlanCandidate",
    "Recovery",
    "RecoverySettings",
    "Score",
    "Sensitivity",
    "describe_example",
    "split_example",
]
