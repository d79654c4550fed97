"""Blocks of GhostNetV3: parallel branches in training, one convolution at inference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghostify.nn.affine import Affine
from ghostify.nn.bottleneck import GhostBottleneck
from ghostify.nn.dfc_attention import DFCAttention, GhostModuleV2
from ghostify.nn.ghost_module import GhostModule
from ghostify.nn.layers import ConvBnAct
from ghostify.types import GhostifyError

_BRANCHES = 3


class GhostModuleV3(nn.Module):
    """Ghost module with parallel branches for training (GhostNetV3, arXiv 2404.11202).

    The primary convolution is the sum of three, each with a BatchNorm. The cheap operation is the
    sum of three depthwise convolutions, one with a 1x1 kernel and a BatchNorm alone. In evaluation
    mode both sums are linear, and `reparameterize` makes each one convolution.

    Args:
        in_channels: channels of the input.
        out_channels: n, even: half of the outputs are intrinsic feature maps.
        relu: end each half with a ReLU.
        attend: multiply the output by `DFCAttention`.

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, H, W)``.

    Raises:
        GhostifyError: if ``out_channels`` is odd.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, relu: bool = True, attend: bool = False
    ) -> None:
        super().__init__()
        m, odd = divmod(out_channels, 2)
        if odd:
            raise GhostifyError(f"`out_channels` (={out_channels}) must be even")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.relu = relu
        self.primary_rpr_conv = nn.ModuleList(ConvBnAct(in_channels, m) for _ in range(_BRANCHES))
        self.primary_activation = nn.ReLU(inplace=True) if relu else nn.Identity()
        self.cheap_rpr_skip = nn.BatchNorm2d(m)
        self.cheap_rpr_conv = nn.ModuleList(ConvBnAct(m, m, 3, groups=m) for _ in range(_BRANCHES))
        self.cheap_rpr_scale = ConvBnAct(m, m, groups=m)
        self.cheap_activation = nn.ReLU(inplace=True) if relu else nn.Identity()
        self.short_conv = DFCAttention(in_channels, out_channels) if attend else None

    def forward(self, x: Tensor) -> Tensor:
        intrinsic = self.primary_activation(_sum(self.primary_rpr_conv, x))
        ghosts = self.cheap_activation(_sum(self._cheap_branches(), intrinsic))
        features = torch.cat([intrinsic, ghosts], -3)
        return features if self.short_conv is None else features * self.short_conv(x)

    def _cheap_branches(self) -> list[nn.Module]:
        return [self.cheap_rpr_scale, self.cheap_rpr_skip, *self.cheap_rpr_conv]

    def reparameterize(self) -> GhostModule | GhostModuleV2:
        """Return what this computes in evaluation mode; only the attention is shared with it."""
        ghost = GhostModule(
            self.in_channels,
            self.out_channels,
            1,
            ratio=2,
            dw_size=3,
            activation=partial(nn.ReLU, inplace=True) if self.relu else None,
            device="meta",
        )
        _fuse_into(ghost.primary_conv[0], [*self.primary_rpr_conv])
        _fuse_into(ghost.cheap_operation[0], self._cheap_branches())
        ghost.train(self.training)
        return ghost if self.short_conv is None else GhostModuleV2(ghost, self.short_conv)


class GhostBottleneckV3(GhostBottleneck):
    """Ghost bottleneck with parallel branches for training (GhostNetV3, arXiv 2404.11202).

    Both Ghost modules are `GhostModuleV3`. The depthwise convolution of stride 2 is the sum of
    three and of one with a 1x1 kernel. Arguments, shape and errors are those of `GhostBottleneck`.
    """

    ghost1: GhostModuleV3
    ghost2: GhostModuleV3
    _ghost = GhostModuleV3

    def _add_depthwise(self, channels: int) -> None:
        self.dw_rpr_conv = nn.ModuleList()
        self.dw_rpr_scale: nn.Module = nn.Identity()
        if self.stride > 1:
            branch = partial(ConvBnAct, channels, channels, stride=self.stride, groups=channels)
            self.dw_rpr_conv.extend(branch(self.kernel_size) for _ in range(_BRANCHES))
            self.dw_rpr_scale = branch(1)

    def _depthwise_branches(self) -> list[nn.Module]:
        return [self.dw_rpr_scale, *self.dw_rpr_conv]

    def _downsample(self, x: Tensor) -> Tensor:
        return _sum(self._depthwise_branches(), x)

    def reparameterize(self) -> GhostBottleneck:
        """Return what this computes in evaluation mode; it shares all modules without branches."""
        sizes = (self.ghost1.in_channels, self.ghost2.in_channels, self.out_channels)
        with torch.device("meta"):
            block = GhostBottleneck(*sizes, self.kernel_size, self.stride)
        if self.stride > 1:
            _fuse_into(block.conv_dw, self._depthwise_branches())
            block.bn_dw = nn.Identity()
        block.ghost1, block.ghost2 = self.ghost1.reparameterize(), self.ghost2.reparameterize()
        block.se, block.shortcut = self.se, self.shortcut
        block.training = self.training
        return block


def _sum(branches: Iterable[nn.Module], x: Tensor) -> Tensor:
    first, *others = branches
    total: Tensor = first(x)
    for branch in others:
        total = total + branch(x)
    return total


@torch.no_grad()
def _fuse_into(operation: nn.Module, branches: Sequence[nn.Module]) -> None:
    """Set weight and bias to those of the sum of ``branches`` in evaluation mode.

    Kernels are centered in the largest one and added in double precision.
    """
    like = next(branch.conv.weight for branch in branches if isinstance(branch, ConvBnAct))
    weights, biases = zip(*map(_as_convolution, branches), strict=True)
    side = max(weight.shape[-1] for weight in weights)
    padded = [F.pad(weight, [(side - weight.shape[-1]) // 2] * 4) for weight in weights]
    for name, terms in (("weight", padded), ("bias", biases)):
        total = torch.stack(terms).sum(0).to(like.dtype)
        setattr(operation, name, nn.Parameter(total, requires_grad=like.requires_grad))


def _as_convolution(branch: nn.Module) -> tuple[Tensor, Tensor]:
    """Return the weight and bias of an equivalent convolution, in double precision."""
    if isinstance(branch, ConvBnAct):
        return Affine.from_norm(branch.bn1).fold_into(branch.conv.weight.double(), None)
    norm = Affine.from_norm(branch)
    return norm.fold_into(torch.ones_like(norm.scale).view(-1, 1, 1, 1), None)
