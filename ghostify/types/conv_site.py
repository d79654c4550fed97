"""One convolution at its place in the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from ghostify.types.errors import GhostifyError


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """A convolution's constructor arguments, under the names ``torch.nn.Conv2d`` gives them.

    ``kernel_size``, ``stride``, ``dilation`` and a numeric ``padding`` hold one number for each
    spatial dimension; ``padding`` may also be ``"same"`` or ``"valid"``.
    """

    in_channels: int
    out_channels: int
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: str | tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    bias: bool
    padding_mode: str

    def __post_init__(self) -> None:
        for name in ("in_channels", "out_channels", "groups"):
            if getattr(self, name) < 1:
                raise GhostifyError(f"`{name}` (={getattr(self, name)}) must be at least 1")

    @classmethod
    def of(cls, conv: Any) -> Geometry:
        """Read the geometry of any module that has the attributes of a convolution."""
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
        """Weights of one filter over one input map (k x k)."""
        return prod(self.kernel_size)

    @property
    def weights(self) -> int:
        """All weights but the bias; also the MACs of one output position."""
        return self.out_channels * self.in_channels // self.groups * self.taps

    def __str__(self) -> str:
        parts = [_times(self.kernel_size), f"{self.in_channels}→{self.out_channels}"]
        if any(step != 1 for step in self.stride):
            parts.append("/" + _uniform(self.stride))
        if any(step != 1 for step in self.dilation):
            parts.append("dilation " + _uniform(self.dilation))
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
    """A convolution as `analyze` found it.

    Attributes:
        name: qualified name, as in ``model.named_modules()``.
        type: class name, such as ``Conv2d``.
        geometry: its numbers.
        within: class names of the modules around it, the model's own first.
        output: height and width of the map it makes (of the first call); None if never called.
        calls: how often one forward pass calls it.
        positions: kernel applications in one forward pass: batch x output positions, summed
            over the calls (input positions where the convolution is transposed).
        functional: whether it is a call of a function; then no module has this name.
        seen: how its call was found: ``graph`` if a torch.fx trace shows it, ``run`` if only the
            forward pass did; None if it is never called.
        stem: whether it is the first convolution of the network.
        ineligible: why no Ghost module can take its place; None where one can.
    """

    name: str
    type: str
    geometry: Geometry
    within: tuple[str, ...] = ()
    output: tuple[int, ...] | None = None
    calls: int = 0
    positions: int = 0
    functional: bool = False
    stem: bool = False
    seen: str | None = None
    ineligible: str | None = None

    @property
    def output_map(self) -> str:
        """The output map for people: ``56x56``, or ``-`` if the site is never called."""
        return "x".join(map(str, self.output)) if self.output is not None else "-"
