"""Data that the rooms pass to each other. Standard library only."""

from ghostify.types.attachment import DeploymentReport
from ghostify.types.conv_site import ConvSite, Geometry, Sites
from ghostify.types.errors import GhostifyError
from ghostify.types.ghost_spec import GhostSpec
from ghostify.types.lineage import Lineage
from ghostify.types.model_measurements import (
    Count,
    FeatureMapPair,
    LayerLatencies,
    LayerRedundancy,
    Sensitivity,
    WidthSensitivity,
)
from ghostify.types.model_source import (
    Example,
    ModelSource,
    describe_example,
    split_example,
)
from ghostify.types.original_weights import OriginalWeights
from ghostify.types.outputs import Output, Outputs
from ghostify.types.plan import Decision, Plan, PlanCandidate
from ghostify.types.preprocessing import Preprocessing
from ghostify.types.recovery import Recovery
from ghostify.types.region import Region
from ghostify.types.score import Fidelity, Score
from ghostify.types.seen_images import SeenImages
from ghostify.types.settings import Augmentation, RecoverySettings
from ghostify.types.trial import Trial, Trials

__all__ = [
    "Augmentation", "ConvSite", "Count", "Decision", "DeploymentReport", "Example",
    "FeatureMapPair", "Fidelity", "Geometry", "GhostSpec", "GhostifyError", "LayerLatencies",
    "LayerRedundancy", "Lineage", "ModelSource", "OriginalWeights", "Output", "Outputs", "Plan",
    "PlanCandidate", "Preprocessing", "Recovery", "RecoverySettings", "Region", "Score",
    "SeenImages", "Sensitivity", "Sites", "Trial", "Trials", "WidthSensitivity", "describe_example",
    "split_example",
]  # fmt: skip
