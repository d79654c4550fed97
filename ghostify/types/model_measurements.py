"""Measurements of a model and of its layers."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ghostify.types.attachment import Attachment
from ghostify.types.constraints import NonNegativeFloat, NonNegativeInt
from ghostify.types.conv_site import ConvSite
from ghostify.types.displayed import Displayed
from ghostify.types.errors import GhostifyError
from ghostify.types.ghost_spec import GhostSpec, is_finite
from ghostify.types.serialization import Serializable

GHOST_SHARE = 0.9
"""The explained share of variance above which a feature map is a ghost of another."""


@dataclass(frozen=True, slots=True)
class Count(Serializable):
    """Parameters and MACs of a model on one example.

    Attributes:
        params: number of parameters; shared ones count once.
        weight_bytes: bytes of the parameters.
        macs: MACs of one forward pass by operator, as fvcore names them.
        uncounted: number of calls of each operator that fvcore has no rule for.
        counter: what counted: ``fvcore`` or ``torch``.
    """

    params: NonNegativeInt
    weight_bytes: NonNegativeInt
    macs: dict[str, NonNegativeInt]
    uncounted: dict[str, NonNegativeInt]
    counter: str = "fvcore"

    @property
    def total_macs(self) -> int:
        """MACs of all counted operators."""
        return sum(self.macs.values())

    @property
    def conv_and_linear_macs(self) -> int:
        """MACs of convolutions and linear layers, which papers report."""
        return self.macs.get("conv", 0) + self.macs.get("linear", 0)


@dataclass(frozen=True, slots=True)
class LayerLatencies:
    """Latency of each layer in one forward pass, in ms, in one runtime on one machine.

    Attributes:
        runtime: name of the runtime.
        threads: threads of the runtime.
        total: latency of the whole original network.
        milliseconds: latency by Ghost module, None for the convolution, by qualified name.
        narrowed: latency of a convolution with fewer channels, by the numbers of its inputs (in
            each group) and outputs, by qualified name; those of all channels included.
    """

    runtime: str
    threads: int
    total: float
    milliseconds: Mapping[str, Mapping[GhostSpec | None, float]]
    narrowed: Mapping[str, Mapping[tuple[int, int], float]] = field(default_factory=dict)

    def of(self, site: ConvSite, ghost: GhostSpec | None) -> float:
        """Return the latency of a convolution or of a Ghost module in its place.

        It is 0 for a convolution that was not timed, since none can replace it. With fewer channels
        than were timed, latencies are interpolated. The time that a Ghost module takes beyond its
        primary convolution is proportional to its outputs.

        Raises:
            GhostifyError: if the Ghost module was not timed.
        """
        if site.name not in self.milliseconds:
            if ghost is None:
                return 0.0
            raise GhostifyError(f"{site.name} is not in the latencies: measure them again")
        if ghost not in self.milliseconds[site.name]:
            raise GhostifyError(f"{site.name}: no latency of {ghost}: measure it again")
        known = self.milliseconds[site.name][ghost]
        if (times := self.narrowed.get(site.name)) is None:
            return known
        inputs = site.geometry.in_channels // site.geometry.groups
        outputs = site.geometry.out_channels
        if ghost is None:
            return _interpolated(times, inputs, outputs)
        all_inputs, all_outputs = max(times)
        beyond = known - _interpolated(times, all_inputs, ghost.intrinsic(all_outputs))
        primary = _interpolated(times, inputs, ghost.intrinsic(outputs))
        return primary + beyond * outputs / all_outputs

    def reason_to_keep(self, site: ConvSite, ghost: GhostSpec) -> str | None:
        """Return why ``ghost`` does not replace the convolution, or None if it is faster."""
        before, after = self.of(site, None), self.of(site, ghost)
        if after < before:
            return None
        return f"not faster in {self.runtime}: {before:.3g} ms, as a Ghost module {after:.3g} ms"


def _interpolated(times: Mapping[tuple[int, int], float], inputs: int, outputs: int) -> float:
    """Interpolate in both numbers of channels, as latencies grow with their product."""
    across = _between(sorted({timed for timed, _ in times}), inputs)
    down = _between(sorted({timed for _, timed in times}), outputs)
    return max(0.0, sum(a * b * times[i, o] for i, a in across for o, b in down))


def _between(points: Sequence[int], value: int) -> list[tuple[int, float]]:
    """Return the two points around a value, or next to it, with weights that add up to 1."""
    if len(points) == 1:
        return [(points[0], 1.0)]
    place = min(max(bisect(points, value), 1), len(points) - 1)
    low, high = points[place - 1], points[place]
    weight = (value - low) / (high - low)
    return [(low, 1 - weight), (high, weight)]


@dataclass(frozen=True, slots=True)
class WidthSensitivity(Serializable):
    """Estimated loss increase when output channels of one layer alone are dropped.

    Attributes:
        order: output channels, the one to drop first first; the last one stays.
        increases: loss increase when the first channel of ``order`` is dropped, the first two, and
            so on.
    """

    order: tuple[int, ...]
    increases: tuple[float, ...]

    def __post_init__(self) -> None:
        if sorted(self.order) != list(range(len(self.order))):
            raise GhostifyError(f"`order` must hold each of {len(self.order)} channels once")
        if len(self.increases) != len(self.order) - 1:
            raise GhostifyError(
                f"`increases` must have {len(self.order) - 1} entries, one less than `order`"
            )
        if not all(map(is_finite, self.increases)):
            raise GhostifyError("`increases` must be finite numbers")

    def of(self, width: int) -> float:
        """Return the loss increase with ``width`` channels left."""
        dropped = len(self.order) - width
        return self.increases[dropped - 1] if dropped else 0.0

    def channels(self, width: int) -> tuple[int, ...]:
        """Return the ``width`` channels that are left, in ascending order."""
        return tuple(sorted(self.order[len(self.order) - width :]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity(Attachment, Serializable, Displayed):
    """Estimated loss increase when one layer alone is replaced, for each layer and Ghost module.

    A kept layer has a loss increase of 0. A plan's loss increase is estimated as the sum over its
    layers. ``print(sensitivity)`` shows a table.

    Attributes:
        unit: unit of the loss increase, such as ``KL (nats)``.
        measured: whether it was measured on data, or estimated from the weights.
        input: shapes of the example, such as ``1x3x224x224``; empty if unknown.
        weights: SHA-256 of the network's state dict; empty if unknown.
        totals: costs of the whole original network by name, such as ``macs`` and ``params``.
        layers: loss increase by Ghost module, by qualified name of the layer.
        widths: loss increase by number of dropped output channels, by qualified name of the layer.

    Raises:
        GhostifyError: if a number is not finite.
    """

    _format: ClassVar[str] = "ghostify-sensitivity/1"

    unit: str
    measured: bool
    input: str = ""
    weights: str = ""
    totals: Mapping[str, NonNegativeFloat] = field(default_factory=dict)
    layers: Mapping[str, Mapping[GhostSpec, float]]
    widths: Mapping[str, WidthSensitivity] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.unit, str) or not self.unit.strip():
            raise GhostifyError(f"`unit` (={self.unit!r}) must name a unit")
        for cost, total in self.totals.items():
            if not is_finite(total):
                raise GhostifyError(f"`totals[{cost!r}]` (={total!r}) must be a finite number")
        for name, by_ghost in self.layers.items():
            for ghost, increase in by_ghost.items():
                if not is_finite(increase):
                    raise GhostifyError(
                        f"{name}: sensitivity to {ghost} (={increase!r}) must be a finite number"
                    )

    @property
    def candidates(self) -> tuple[GhostSpec, ...]:
        """The Ghost modules that were tried at any layer, in the order of appearance."""
        return tuple(dict.fromkeys(ghost for layer in self.layers.values() for ghost in layer))

    @property
    def names(self) -> tuple[str, ...]:
        """Qualified names of the layers that were measured."""
        return tuple(dict.fromkeys((*self.layers, *self.widths)))

    def covers(self, name: str, ghost: GhostSpec | None, width: int | None) -> bool:
        """Whether the layer was measured with ``ghost`` and, if it loses channels, with widths."""
        replaced = ghost is None or ghost in self.layers.get(name, {})
        return replaced and (width is None or name in self.widths)

    def of(self, name: str, ghost: GhostSpec) -> float:
        """Return the loss increase when ``ghost`` replaces the layer ``name``.

        Raises:
            GhostifyError: if it was not measured.
        """
        if name not in self.layers:
            raise GhostifyError(f"{name} is not in the sensitivity: measure it again")
        if ghost not in self.layers[name]:
            raise GhostifyError(
                f"{name}: no sensitivity to {ghost}: measure it again with this candidate"
            )
        return self.layers[name][ghost]

    def of_width(self, name: str, width: int) -> float:
        """Return the loss increase when a layer alone has ``width`` output channels.

        Raises:
            GhostifyError: if it was not measured.
        """
        if name not in self.widths:
            raise GhostifyError(f"{name}: no sensitivity to dropped channels: measure it again")
        return self.widths[name].of(width)


@dataclass(frozen=True, slots=True)
class FeatureMapPair:
    """Two similar feature maps of a layer.

    Attributes:
        source: channel that predicts the other.
        target: channel that is predicted.
        errors: error of the best d x d filter with bias, divided by the target's variance, by d.
    """

    source: int
    target: int
    errors: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class LayerRedundancy:
    """How well the feature maps of a layer predict each other.

    Attributes:
        layer: qualified name.
        maps: number of feature maps.
        constant: number of constant feature maps, which are ignored otherwise.
        size: height and width.
        positions: number of positions that the errors are means of.
        explained: share of variance that the best d x d filter of one other feature map explains,
            by d: the mean over feature maps. A d is missing if there are too few positions.
        ghosts: number of feature maps with a share above `GHOST_SHARE`, by d.
        pairs: the most similar pairs, the best first; each feature map is in one at most.
    """

    layer: str
    maps: int
    constant: int
    size: tuple[int, int]
    positions: int
    explained: Mapping[int, float]
    ghosts: Mapping[int, int]
    pairs: tuple[FeatureMapPair, ...]
