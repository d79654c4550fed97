"""Costs of a convolution and of the Ghost module in its place.

MACs are multiply-accumulates, which fvcore counts and papers print as FLOPs. A bias costs none.
"""

from __future__ import annotations

from collections.abc import Callable

from ghostify.types import ConvSite, Geometry, GhostifyError, GhostSpec, Region

Cost = Callable[[ConvSite, GhostSpec | None], float]
"""Cost of a site in one forward pass, as a convolution (None) or as a Ghost module."""

_FLOAT32 = 4


def weights(geometry: Geometry, ghost: GhostSpec | None = None) -> int:
    """Return the number of weights without bias, which are also the MACs of one position.

    A Ghost module has m filters of c x k x k and n - m filters of d x d (arXiv 1911.11907, Eq. 5).
    """
    if ghost is None:
        return geometry.weights
    intrinsic = ghost.intrinsic(geometry.out_channels)
    primary = intrinsic * geometry.in_channels * geometry.taps
    return primary + (geometry.out_channels - intrinsic) * ghost.dw_size**2


def params(site: ConvSite, ghost: GhostSpec | None = None) -> int:
    """Return the number of weights and biases."""
    geometry = site.geometry
    return weights(geometry, ghost) + (geometry.out_channels if geometry.bias else 0)


def macs(site: ConvSite, ghost: GhostSpec | None = None) -> int:
    """Return the MACs of one forward pass, over all calls of the site."""
    return site.positions * weights(site.geometry, ghost)


def activations(site: ConvSite, ghost: GhostSpec | None = None) -> int:
    """Return the bytes of float32 feature maps that one forward pass writes.

    A Ghost module writes twice as many: its outputs are concatenated.
    """
    return site.positions * _FLOAT32 * site.geometry.out_channels * (1 if ghost is None else 2)


def eq4_speedup(geometry: Geometry, ghost: GhostSpec) -> float:
    """Return the theoretical speed-up r_s (arXiv 1911.11907, Eq. 4).

    r_s = c k^2 / (c k^2 / s + (s - 1) / s d^2). The ratio of the MACs differs where s does not
    divide n.
    """
    taps = geometry.in_channels * geometry.taps
    s = ghost.ratio
    return taps / (taps / s + (s - 1) / s * ghost.dw_size**2)


def channel_cost(region: Region, cost: str) -> int:
    """Return what one channel of a region costs outside of convolutions, by name of the cost."""
    return {"params": region.params, "macs": region.macs}.get(cost, 0)


def _latency(site: ConvSite, ghost: GhostSpec | None) -> float:
    raise GhostifyError("a latency budget needs `runtime`, such as 'onnxruntime', or `latencies`")


COSTS: dict[str, Cost] = {
    "macs": macs,
    "params": params,
    "activations": activations,
    "latency": _latency,  # in ms; known only with measured latencies
}
"""The costs that a budget can limit, by name."""
