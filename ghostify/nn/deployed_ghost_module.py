"""The Ghost module for inference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ghostify.nn.affine import Affine, ChannelAffine
from ghostify.nn.channel_ops import first_channels, permute_channels
from ghostify.nn.cheap_operation import CheapOperation, block_ranges
from ghostify.nn.ghost_module import GhostModule


class DeployedGhostModule(nn.Module):
    """Ghost module with the BatchNorms behind its halves folded in.

    A BatchNorm behind the concatenation splits. The ghosts' part is folded into the cheap
    operation. The intrinsic part remains a scale and a shift of the output: folded into the primary
    convolution it would change the input of the cheap operation, whose zero padding has no shift.

    Args:
        primary: computes the intrinsic feature maps.
        intrinsic: applied to these in the output only.
        cheap: one module per block of ghosts.
        channels: m, the number of intrinsic feature maps.
        widths: number of ghosts in each block.
        order: as in `GhostModule`.
    """

    def __init__(
        self,
        primary: nn.Module,
        intrinsic: nn.Module,
        cheap: Sequence[nn.Module],
        channels: int,
        widths: Sequence[int],
        order: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.primary = primary
        self.intrinsic = intrinsic
        self.cheap = nn.ModuleList(cheap)
        self.channels = channels
        self.widths = tuple(widths)
        self.order: Tensor | None
        self.rank: Tensor | None
        self.register_buffer("order", order)
        self.register_buffer("rank", None if order is None else order.argsort())

    @classmethod
    def from_module(cls, ghost: GhostModule, norm: Affine | None = None) -> DeployedGhostModule:
        """Return what computes ``norm(ghost(x))`` in evaluation mode.

        The BatchNorms in the halves must be folded, and with ``norm`` there may be no activations.
        """
        primary, cheap = ghost.primary_conv, ghost.cheap_operation
        operation, *rest = cheap
        assert isinstance(operation, CheapOperation)
        intrinsic: nn.Module = nn.Identity()
        weight: Tensor = operation.weight
        bias: Tensor | None = operation.bias
        m = operation.in_channels
        if norm is not None:
            in_rank = norm if ghost.order is None else norm[ghost.order.argsort()]
            weight, bias = in_rank[m:].fold_into(weight, bias)
            scale, shift = in_rank.scale[:m], in_rank.shift[:m]
            intrinsic = ChannelAffine(scale.to(weight.dtype), shift.to(weight.dtype))
        widths = [size for _, size in block_ranges(m, len(weight))]
        biases = [None] * len(widths) if bias is None else torch.split(bias, widths)
        blocks = map(_block, torch.split(weight, widths), biases)
        return cls(
            primary[0] if len(primary) == 1 else primary,
            intrinsic,
            [nn.Sequential(block, *rest) if rest else block for block in blocks],
            m,
            widths,
            ghost.order,
        )

    def forward(self, x: Tensor) -> Tensor:
        u = self.primary(x)
        parts = [self.intrinsic(u)]
        for cheap, width in zip(self.cheap, self.widths):  # noqa: B905 (TorchScript)
            parts.append(cheap(first_channels(u, width, self.channels)))
        features = torch.cat(parts, -3)
        return features if self.order is None else permute_channels(features, self.order, self.rank)


def _block(weight: Tensor, bias: Tensor | None) -> nn.Module:
    size, _, side, _ = weight.shape
    if side == 1:
        shift = weight.new_zeros(size) if bias is None else bias
        return ChannelAffine(weight.flatten(), shift)
    conv = nn.Conv2d(size, size, side, padding=side // 2, groups=size, bias=False, device="meta")
    conv.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        conv.bias = nn.Parameter(bias.detach().clone())
    return conv
