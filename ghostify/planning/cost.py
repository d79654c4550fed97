"""Parameters and MACs of a convolution and of the Ghost module in its place, as pure functions.

MACs are multiply-accumulates, what fvcore counts and papers print as FLOPs; a bias costs none.
"""

from __future__ import annotations

from collections.abc import Callable

from ghostify.types import ConvSite, Geometry, GhostifyError, GhostSpec


def conv_params(geometry: Geometry) -> int:
    """Weights and bias of the convolution."""
    return geometry.weights + (geometry.out_channels if geometry.bias else 0)


def conv_macs(site: ConvSite) -> int:
    """MACs of the site in one forward pass, all its calls together."""
    return site.positions * site.geometry.weights


def ghost_weights(geometry: Geometry, ghost: GhostSpec) -> int:
    """Weights of the Ghost module without its bias, also its MACs at one position.

    m filters of c k x k kernels, and n - m kernels of d x d (arXiv 1911.11907, Eq. 5).
    """
    outputs = geometry.out_channels
    intrinsic = ghost.intrinsic(outputs)
    primary = intrinsic * geometry.in_channels * geometry.taps
    return primary + (outputs - intrinsic) * ghost.dw_size**2


def ghost_params(geometry: Geometry, ghost: GhostSpec) -> int:
    """Weights and bias of the Ghost module: its ghosts have a bias where the convolution has."""
    return ghost_weights(geometry, ghost) + (geometry.out_channels if geometry.bias else 0)


def ghost_macs(site: ConvSite, ghost: GhostSpec) -> int:
    """MACs of the Ghost module at this site in one forward pass."""
    return site.positions * ghost_weights(site.geometry, ghost)


def eq4_speedup(geometry: Geometry, ghost: GhostSpec) -> float:
    """The theoretical speed-up r_s of arXiv 1911.11907, Eq. 4.

    r_s = c k^2 / (c k^2 / s + (s - 1) / s d^2), which differs from the ratio of the MACs where s
    does not divide n.
    """
    taps = geometry.in_channels * geometry.taps
    s = ghost.ratio
    return taps / (taps / s + (s - 1) / s * ghost.dw_size**2)


Cost = Callable[[ConvSite, GhostSpec | None], float]
"""The cost of a site in one forward pass, as it is (None) or as a Ghost module."""

_FLOAT32 = 4


def macs(site: ConvSite, ghost: GhostSpec | None) -> int:
    """Multiply-accumulates of one forward pass."""
    return conv_macs(site) if ghost is None else ghost_macs(site, ghost)


def params(site: ConvSite, ghost: GhostSpec | None) -> int:
    """Weights and bias."""
    return conv_params(site.geometry) if ghost is None else ghost_params(site.geometry, ghost)


def activations(site: ConvSite, ghost: GhostSpec | None) -> float:
    """Bytes of the float32 maps that are written in one forward pass.

    n maps by a convolution; twice as many by a Ghost module, whose m intrinsic maps and n - m
    ghosts are concatenated.
    """
    maps = site.geometry.out_channels
    return site.positions * _FLOAT32 * (maps if ghost is None else 2 * maps)


def latency(site: ConvSite, ghost: GhostSpec | None) -> float:
    """Milliseconds in a runtime, which only a plan with measured latencies knows."""
    raise GhostifyError(
        "a budget of latency needs measured latencies: name a runtime (--runtime onnxruntime), or "
        "give plan what layer_latency returns"
    )


COSTS: dict[str, Cost] = {
    "macs": macs,
    "params": params,
    "activations": activations,
    "latency": latency,
}
"""The costs that a budget can be set for. A new one is one entry."""


def cost_named(name: str) -> Cost:
    """The cost of that name.

    Raises:
        GhostifyError: if there is none, with those that there are.
    """
    if name not in COSTS:
        raise GhostifyError(f"unknown cost {name!r}: known are {', '.join(COSTS)}")
    return COSTS[name]
