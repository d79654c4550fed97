"""What convolutions, Ghost modules and whole models cost."""

from ghostify.costs.convolution import (
    conv_macs,
    conv_params,
    eq4_speedup,
    ghost_macs,
    ghost_params,
    ghost_weights,
)

__all__ = [
    "conv_macs",
    "conv_params",
    "eq4_speedup",
    "ghost_macs",
    "ghost_params",
    "ghost_weights",
]
