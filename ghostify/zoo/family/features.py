"""A GhostNet's maps of several scales, for detection and segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from torch import Tensor, nn

from ghostify.spec import GhostifyError
from ghostify.zoo.family.network import GhostNet

TAPS = (3, 5, 11, 16)
"""Blocks, counted from 1: the last ones of strides 4, 8, 16 and 32."""


class GhostFeatures(nn.Module):
    """A GhostNet without its head, which hands out the maps of some of its blocks.

    Its layers are the network's own, weights and names included; the blocks behind the last tap
    are left out.

    Args:
        network: of any version and width.
        taps: the blocks whose maps to hand out, counted from 1. By default those before a feature
            pyramid of strides 4, 8, 16 and 32.

    Attributes:
        channels: of each of the maps.
        strides: pixels of the image for one position of each of the maps.

    Shape:
        ``(N, C, H, W) -> [(N, channels[i], H / strides[i], W / strides[i]), ...]``, rounded up.

    Raises:
        GhostifyError: if ``taps`` are no blocks of the network, or not in their order.
    """

    def __init__(self, network: GhostNet, taps: Sequence[int] = TAPS) -> None:
        super().__init__()
        stages: list[Any] = list(network.blocks)[:-1]
        blocks = list(chain.from_iterable(stages))
        if not taps or list(taps) != sorted({*taps} & {*range(1, len(blocks) + 1)}):
            raise GhostifyError(f"taps (={taps}) must be rising numbers from 1 to {len(blocks)}")
        self.taps = tuple(taps)
        self.pretrained_cfg = network.pretrained_cfg
        self.conv_stem, self.bn1, self.act1 = network.conv_stem, network.bn1, network.act1
        used = blocks[: taps[-1]]
        kept = [nn.Sequential(*(block for block in stage if block in used)) for stage in stages]
        self.blocks = nn.Sequential(*filter(len, kept))
        self.channels = tuple(blocks[tap - 1].out_channels for tap in taps)
        self.strides = tuple(
            2 ** (1 + sum(block.stride == 2 for block in blocks[:tap])) for tap in taps
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.act1(self.bn1(self.conv_stem(x)))
        maps = []
        stages: Any = self.blocks
        for number, block in enumerate(chain.from_iterable(stages), 1):
            x = block(x)
            if number in self.taps:
                maps.append(x)
        return maps
