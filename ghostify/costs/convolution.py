"""Parameters and MACs of a convolution and of the Ghost module in its place, as pure functions.

MACs are multiply-accumulates, what fvcore counts and papers print as FLOPs; a bias costs none.
"""

from ghostify.spec import ConvSite, Geometry, GhostSpec


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
