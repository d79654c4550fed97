"""The Ghost module as it is computed fastest, once nothing is trained any more."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ghostify.layers.affine import Affine, ChannelAffine
from ghostify.layers.cheap import CheapOperation
from ghostify.layers.ghost import GhostModule
from ghostify.layers.parts import are_kept_apart, concatenation


class InferenceGhost(nn.Module):
    """A Ghost module with the batch norms behind its halves folded into them.

    The ghosts are made of the maps as the primary convolution gives them. A batch norm behind the
    concatenation therefore goes into the cheap operation for the ghosts, and stays a scale and a
    shift for the intrinsic maps: within the primary convolution they would change the ghosts, near
    the border beyond repair, as the cheap operation's zero padding has no shift.

    Args:
        primary: makes the intrinsic maps.
        intrinsic: what is done to these before they are handed out.
        cheap: each makes a block of ghosts of the first intrinsic maps.
        widths: of how many.
        order: as that of `GhostModule`.
    """

    def __init__(
        self,
        primary: nn.Module,
        intrinsic: nn.Module,
        cheap: Sequence[nn.Module],
        widths: Sequence[int],
        order: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.primary = primary
        self.intrinsic = intrinsic
        self.cheap = nn.ModuleList(cheap)
        self.widths = tuple(widths)
        self.order: Tensor | None
        self.register_buffer("order", order)
        self.register_buffer("rank", None if order is None else order.argsort())

    @classmethod
    def of(cls, ghost: GhostModule, norm: Affine | None = None) -> InferenceGhost:
        """What ``ghost`` does in evaluation mode, and then ``norm`` to its outputs.

        Args:
            ghost: of either flavour, with the batch norms in its halves folded already. One with
                activations takes no ``norm``.
        """
        primary, cheap = ghost.primary_conv, ghost.cheap_operation
        operation, *rest = cheap
        assert isinstance(operation, CheapOperation)
        intrinsic: nn.Module = nn.Identity()
        weight: Tensor = operation.weight
        bias: Tensor | None = operation.bias
        m = operation.in_channels
        if norm is not None:
            by_rank = norm if ghost.order is None else norm[ghost.order.argsort()]
            weight, bias = by_rank[m:].after(weight, bias)
            scale, shift = by_rank.scale[:m], by_rank.shift[:m]
            intrinsic = ChannelAffine(scale.to(weight.dtype), shift.to(weight.dtype))
        starts = range(0, len(weight), m)
        blocks = [
            _block(weight[i : i + m], None if bias is None else bias[i : i + m]) for i in starts
        ]
        return cls(
            primary[0] if len(primary) == 1 else primary,
            intrinsic,
            [nn.Sequential(block, *rest) if rest else block for block in blocks],
            [min(m, len(weight) - i) for i in starts],
            ghost.order,
        )

    def forward(self, x: Tensor) -> Tensor:
        u = self.primary(x)
        m = u.shape[-3]
        ghosts = [
            cheap(u if width == m else u.narrow(-3, 0, width))
            for cheap, width in zip(self.cheap, self.widths, strict=True)
        ]
        maps = [self.intrinsic(u), *ghosts]
        if self.order is None:
            return concatenation(maps)
        whole = torch.cat(maps, -3)
        if are_kept_apart():
            return whole.index_select(-3, self.order)
        # This keeps the memory format in eager mode; runtimes have no fast kernel for it.
        return torch.empty_like(whole).index_copy_(-3, self.get_buffer("rank"), whole)


def _block(weight: Tensor, bias: Tensor | None) -> nn.Module:
    """A depthwise convolution, or a multiplication by channel where the kernel is 1x1."""
    size, _, side, _ = weight.shape
    if side == 1:
        shift = weight.new_zeros(size) if bias is None else bias
        return ChannelAffine(weight.flatten(), shift)
    convolution = nn.Conv2d(
        size, size, side, padding=side // 2, groups=size, bias=bias is not None, device="meta"
    )
    convolution.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        convolution.bias = nn.Parameter(bias.detach().clone())
    return convolution
