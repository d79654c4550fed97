"""Parallel branches for training, which are one convolution at inference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghostify.nn.bottleneck import GhostBottleneck, check_sizes, depthwise, shortcut
from ghostify.nn.deployed_ghost_module import Affine
from ghostify.nn.dfc_attention import DFCAttention, GhostModuleV2
from ghostify.nn.ghost_module import GhostModule
from ghostify.nn.layers import ConvBnAct, SqueezeExcite
from ghostify.types import GhostifyError

_BRANCHES = 3


class GhostModuleV3(nn.Module):
    """A Ghost module that is trained as parallel branches (GhostNetV3, arXiv 2404.11202).

    The primary convolution is the sum of three, each with its batch norm; the cheap operation is
    the sum of three, of one with a 1 x 1 kernel, and of a batch norm alone. In evaluation mode all
    of that is linear, and `fused` makes it an ordinary Ghost module.

    Args:
        in_channels: of the input.
        out_channels: n, even: half of them intrinsic maps.
        relu: whether each half ends with an activation.
        attend: whether the maps are multiplied by `DFCAttention`.

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
            raise GhostifyError(f"out_channels (={out_channels}) must be even")
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
        maps = torch.cat([intrinsic, ghosts], -3)
        return maps if self.short_conv is None else maps * self.short_conv(x)

    def _cheap_branches(self) -> list[nn.Module]:
        return [self.cheap_rpr_scale, self.cheap_rpr_skip, *self.cheap_rpr_conv]

    def reparameterize(self) -> GhostModule | GhostModuleV2:
        """What this does in evaluation mode, with the attention itself and copies of the rest."""
        ghost = GhostModule(
            self.in_channels,
            self.out_channels,
            1,
            ratio=2,
            dw_size=3,
            activation=partial(nn.ReLU, inplace=True) if self.relu else None,
            device="meta",
        )
        _fill(ghost.primary_conv[0], [*self.primary_rpr_conv])
        _fill(ghost.cheap_operation[0], self._cheap_branches())
        ghost.train(self.training)
        return ghost if self.short_conv is None else GhostModuleV2(ghost, self.short_conv)


class GhostBottleneckV3(nn.Module):
    """A Ghost bottleneck that is trained as parallel branches (GhostNetV3, arXiv 2404.11202).

    Both Ghost modules are `GhostModuleV3`, and the depthwise convolution of stride 2 is the sum of
    three and of one with a 1 x 1 kernel. `fused` makes it a `GhostBottleneck`.

    Args, shape and errors are those of `GhostBottleneck`.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        *,
        excite: bool = False,
        attend: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(kernel_size, stride)
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.ghost1 = GhostModuleV3(in_channels, hidden_channels, attend=attend)
        self.dw_rpr_conv = nn.ModuleList()
        self.dw_rpr_scale: nn.Module = nn.Identity()
        if stride > 1:
            size = (hidden_channels, hidden_channels)
            branch = partial(ConvBnAct, *size, stride=stride, groups=hidden_channels)
            self.dw_rpr_conv.extend(branch(kernel_size) for _ in range(_BRANCHES))
            self.dw_rpr_scale = branch(1)
        self.se = SqueezeExcite(hidden_channels) if excite else nn.Identity()
        self.ghost2 = GhostModuleV3(hidden_channels, out_channels, relu=False)
        self.shortcut = shortcut(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        maps = _sum(self._depthwise_branches(), self.ghost1(x))
        out: Tensor = self.ghost2(self.se(maps)) + self.shortcut(x)
        return out

    def _depthwise_branches(self) -> list[nn.Module]:
        return [self.dw_rpr_scale, *self.dw_rpr_conv]

    def reparameterize(self) -> GhostBottleneck:
        """What this does in evaluation mode, with its own parts where there are no branches."""
        conv: nn.Module = nn.Identity()
        if self.stride > 1:
            with torch.device("meta"):
                conv = depthwise(self.ghost1.out_channels, self.kernel_size, self.stride)
            _fill(conv, self._depthwise_branches())
        block = GhostBottleneck.from_parts(
            self.ghost1.reparameterize(),
            conv,
            nn.Identity(),
            self.se,
            self.ghost2.reparameterize(),
            self.shortcut,
        )
        block.training = self.training
        return block


def _sum(branches: Iterable[nn.Module], x: Tensor) -> Tensor:
    first, *others = branches
    total: Tensor = first(x)
    for branch in others:
        total = total + branch(x)
    return total


@torch.no_grad()
def _fill(operation: nn.Module, branches: Sequence[nn.Module]) -> None:
    """Give a convolution the weight and the bias of the sum of ``branches`` in evaluation mode.

    They are added in double precision, each kernel in the middle of the largest one.
    """
    like = next(branch.conv.weight for branch in branches if isinstance(branch, ConvBnAct))
    weights, biases = zip(*map(_linear, branches), strict=True)
    side = max(weight.shape[-1] for weight in weights)
    padded = [F.pad(weight, [(side - weight.shape[-1]) // 2] * 4) for weight in weights]
    for name, terms in (("weight", padded), ("bias", biases)):
        total = torch.stack(terms).sum(0).to(like.dtype)
        setattr(operation, name, nn.Parameter(total, requires_grad=like.requires_grad))


def _linear(branch: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that does what a branch does, in double precision."""
    if isinstance(branch, ConvBnAct):
        return Affine.from_norm(branch.bn1).after(branch.conv.weight.double(), None)
    norm = Affine.from_norm(branch)
    return norm.after(torch.ones_like(norm.scale).view(-1, 1, 1, 1), None)
