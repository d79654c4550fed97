"""What the GhostNets are made of, block by block."""

from __future__ import annotations

from typing import NamedTuple

from ghostify.layers.widths import make_divisible


class Block(NamedTuple):
    """One bottleneck, as the paper has it at width 1.

    Attributes:
        kernel_size: of its depthwise convolutions.
        hidden: channels in the middle.
        out: channels at the end.
        excite: whether it has squeeze-excite.
        stride: 1 or 2.
    """

    kernel_size: int
    hidden: int
    out: int
    excite: bool
    stride: int

    def scaled(self, width: float) -> Block:
        """The same with its channels multiplied by ``width``."""
        hidden, out = make_divisible(self.hidden * width), make_divisible(self.out * width)
        return self._replace(hidden=hidden, out=out)


STEM = 16
"""Channels of the first convolution."""

STAGES: tuple[tuple[Block, ...], ...] = (
    (Block(3, 16, 16, False, 1),),
    (Block(3, 48, 24, False, 2),),
    (Block(3, 72, 24, False, 1),),
    (Block(5, 72, 40, True, 2),),
    (Block(5, 120, 40, True, 1),),
    (Block(3, 240, 80, False, 2),),
    (
        Block(3, 200, 80, False, 1),
        Block(3, 184, 80, False, 1),
        Block(3, 184, 80, False, 1),
        Block(3, 480, 112, True, 1),
        Block(3, 672, 112, True, 1),
    ),
    (Block(5, 672, 160, True, 2),),
    (
        Block(5, 960, 160, False, 1),
        Block(5, 960, 160, True, 1),
        Block(5, 960, 160, False, 1),
        Block(5, 960, 160, True, 1),
    ),
)
"""The architecture of GhostNet (arXiv 1911.11907), in the stages of the authors' code."""

LAST = 960
"""Channels of the convolution behind the blocks."""

HEAD = 1280
"""Features behind the pooling, at every width."""

IMAGES = {
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "interpolation": "bicubic",
    "crop_pct": 0.875,
}
"""How the published networks see images of 224 x 224."""

UNATTENDED = 2
"""The first bottlenecks of GhostNetV2 and V3, which have no attention."""
