"""The networks' building blocks: tensors in, tensors out."""

from ghostify.nn.bottleneck import GhostBottleneck
from ghostify.nn.cheap_operation import CheapOperation
from ghostify.nn.conv_bn_se import SqueezeExcite
from ghostify.nn.deploy import Affine, InferenceGhost
from ghostify.nn.dfc_attention import AttendedGhost, DFCAttention
from ghostify.nn.ghost_module import GhostModule
from ghostify.nn.reparam import BranchedBottleneck, BranchedGhost

__all__ = [
    "Affine",
    "AttendedGhost",
    "BranchedBottleneck",
    "BranchedGhost",
    "CheapOperation",
    "DFCAttention",
    "GhostBottleneck",
    "GhostModule",
    "InferenceGhost",
    "SqueezeExcite",
]
