"""Where the feature maps of a convolution go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ghostify.types.constraints import NonNegativeInt, PositiveInt


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """The layers that share the channels of one convolution, up to those that mix them.

    If only these read its feature maps, some of the maps can be dropped: the layers along the way
    lose the same channels, and the readers can make up for the loss with those that are left.

    Attributes:
        channelwise: layers along the way with parameters for each channel: BatchNorms, PReLUs and
            depthwise convolutions.
        gates: layers whose outputs scale the channels, such as the last one of a
            squeeze-and-excitation block.
        readers: layers that mix the channels, by qualified name, with the number of adjacent
            inputs that belong to one channel: more than one after flattening. Of a Ghost module,
            its primary convolution.
        params: parameters of one channel outside of convolutions: in BatchNorms, PReLUs and linear
            layers.
        macs: MACs of one channel in linear layers, in one forward pass.
    """

    channelwise: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    readers: Mapping[str, PositiveInt] = field(default_factory=dict)
    params: NonNegativeInt = 0
    macs: NonNegativeInt = 0
