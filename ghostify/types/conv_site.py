"""Convolutions of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Annotated, Any, Literal

from ghostify.types.constraints import Channels, Length, NonNegativeInt, Range, Sizes
from ghostify.types.displayed import Displayed
from ghostify.types.errors import GhostifyError
from ghostify.types.region import Region

_Padding = Annotated[tuple[Annotated[int, Range(0, 2**20)], ...], Length(1, 3)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Constructor arguments of a convolution, as in ``torch.nn.Conv2d``.

    ``kernel_size``, ``stride``, ``dilation`` and a numeric ``padding`` have one number per spatial
    dimension. ``padding`` may also be ``"same"`` or ``"valid"``.

    Raises:
        GhostifyError: if there are no channels or groups.
    """

    in_channels: Channels
    out_channels: Channels
    kernel_size: Sizes
    stride: Sizes
    padding: str | _Padding
    dilation: Sizes
    groups: Channels
    bias: bool
    padding_mode: str

    def __post_init__(self) -> None:
        for name in ("in_channels", "out_channels", "groups"):
            if getattr(self, name) < 1:
                raise GhostifyError(f"`{name}` (={getattr(self, name)}) must be at least 1")

    @classmethod
    def of(cls, conv: Any) -> Geometry:
        """Return the geometry of a module with the attributes of a convolution."""
        dims = _spatial_dims(conv)
        return cls(
            in_channels=conv.in_channels,
            out_channels=conv.out_channels,
            kernel_size=_each(conv.kernel_size, dims),
            stride=_each(conv.stride, dims),
            padding=conv.padding if isinstance(conv.padding, str) else _each(conv.padding, dims),
            dilation=_each(conv.dilation, dims),
            groups=conv.groups,
            bias=getattr(conv, "bias", None) is not None,
            padding_mode=getattr(conv, "padding_mode", "zeros"),
        )

    @property
    def taps(self) -> int:
        """Weights per filter and input channel, k x k."""
        return prod(self.kernel_size)

    @property
    def weights(self) -> int:
        """Number of weights without bias, which are also the MACs of one output position."""
        return self.out_channels * self.in_channels // self.groups * self.taps

    @property
    def depthwise(self) -> bool:
        """Whether each output channel is made of one input channel alone."""
        return self.groups == self.in_channels == self.out_channels > 1

    def narrowed(self, inputs: int | None = None, outputs: int | None = None) -> Geometry:
        """Return the geometry with fewer channels; a depthwise convolution has one group each."""
        inputs, outputs = inputs or self.in_channels, outputs or self.out_channels
        groups = outputs if self.depthwise else self.groups
        return replace(self, in_channels=inputs, out_channels=outputs, groups=groups)

    def __str__(self) -> str:
        parts = [_times(self.kernel_size), f"{self.in_channels}→{self.out_channels}"]
        for prefix, numbers in (("/", self.stride), ("dilation ", self.dilation)):
            if set(numbers) != {1}:
                parts.append(prefix + _uniform(numbers))
        if self.groups != 1:
            parts.append(f"g={self.groups}")
        return ", ".join(parts)


def _spatial_dims(conv: Any) -> int:
    """Number of spatial dimensions; 2 if neither kernel size nor weight tells."""
    if not isinstance(conv.kernel_size, int):
        return len(conv.kernel_size)
    shape = getattr(getattr(conv, "weight", None), "shape", ())
    return len(shape) - 2 if len(shape) > 2 else 2


def _each(value: int | Sequence[int], dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value)


def _times(numbers: tuple[int, ...]) -> str:
    return "x".join(map(str, numbers))


def _uniform(numbers: tuple[int, ...]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else _times(numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvSite:
    """A convolution that `analyze` found.

    Attributes:
        name: qualified name, as in ``model.named_modules()``.
        type: class name, such as ``Conv2d``.
        geometry: constructor arguments.
        within: class names of the enclosing modules, the model first.
        output: height and width of the output of the first call; None if it is never called.
        calls: number of calls in one forward pass.
        positions: batch x output positions, summed over the calls. Input positions for a
            transposed convolution.
        functional: whether it is a function call, so that no module has this name.
        seen: ``graph`` if the torch.fx trace has the call, ``run`` if only the forward pass has;
            None if it is never called.
        stem: whether it is the first convolution of the network.
        ineligible: the reason a Ghost module cannot take its place; None if it can.
        region: the layers that share its output channels, if some of these can be dropped.
        unprunable: the reason none of its output channels can be dropped; None if some can.
    """

    name: str
    type: str
    geometry: Geometry
    within: tuple[str, ...] = ()
    output: Sizes | None = None
    calls: NonNegativeInt = 0
    positions: NonNegativeInt = 0
    functional: bool = False
    stem: bool = False
    seen: Literal["graph", "run"] | None = None
    ineligible: str | None = None
    region: Region | None = None
    unprunable: str | None = None

    def narrowed(self, inputs: int | None = None, outputs: int | None = None) -> ConvSite:
        """Return the site as it is with fewer input or output channels."""
        if inputs is None and outputs is None:
            return self
        return replace(self, geometry=self.geometry.narrowed(inputs, outputs))

    @property
    def output_map(self) -> str:
        """Height and width of the output, such as ``56x56``; ``-`` if it is never called."""
        return "x".join(map(str, self.output)) if self.output is not None else "-"


class Sites(Displayed, tuple[ConvSite, ...]):
    """The convolutions of a model, in order of execution. ``print(sites)`` shows tables."""

    __slots__ = ()
