"""What a site costs, by the name of the cost."""

from __future__ import annotations

from collections.abc import Callable

from ghostify.costs.convolution import conv_macs, conv_params, ghost_macs, ghost_params
from ghostify.spec import ConvSite, GhostifyError, GhostSpec

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
        "give plan what measure_latency returns"
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
