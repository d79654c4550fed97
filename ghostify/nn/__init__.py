"""Building blocks of networks: Ghost modules and what the GhostNets put around them."""

from ghostify.nn.affine import Affine
from ghostify.nn.bottleneck import GhostBottleneck
from ghostify.nn.cheap_operation import CheapOperation
from ghostify.nn.deployed_ghost_module import DeployedGhostModule
from ghostify.nn.dfc_attention import DFCAttention, GhostModuleV2
from ghostify.nn.ghost_module import GhostModule
from ghostify.nn.layers import SqueezeExcite
from ghostify.nn.reparam import GhostBottleneckV3, GhostModuleV3

__all__ = [
    "Affine",
    "CheapOperation",
    "DFCAttention",
    "DeployedGhostModule",
    "GhostBottleneck",
    "GhostBottleneckV3",
    "GhostModule",
    "GhostModuleV2",
    "GhostModuleV3",
    "SqueezeExcite",
]
