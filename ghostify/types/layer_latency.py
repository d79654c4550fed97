"""Latency of each layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ghostify.types.conv_site import ConvSite
from ghostify.types.errors import GhostifyError
from ghostify.types.ghost_spec import GhostSpec


@dataclass(frozen=True, slots=True)
class LayerLatencies:
    """Latency of each layer in one forward pass, in ms, in one runtime on one machine.

    Attributes:
        runtime: name of the runtime.
        threads: threads of the runtime.
        total: latency of the whole original network.
        milliseconds: latency by Ghost module, None for the convolution, by qualified name.
    """

    runtime: str
    threads: int
    total: float
    milliseconds: Mapping[str, Mapping[GhostSpec | None, float]]

    def of(self, site: ConvSite, ghost: GhostSpec | None) -> float:
        """Return the latency of a convolution or of a Ghost module in its place.

        It is 0 for a convolution that was not timed, since none can replace it.

        Raises:
            GhostifyError: if the Ghost module was not timed.
        """
        if site.name not in self.milliseconds:
            if ghost is None:
                return 0.0
            raise GhostifyError(f"{site.name} is not in the latencies: measure them again")
        if ghost not in self.milliseconds[site.name]:
            raise GhostifyError(f"{site.name}: no latency of {ghost}: measure it again")
        return self.milliseconds[site.name][ghost]

    def reason_to_keep(self, site: ConvSite, ghost: GhostSpec) -> str | None:
        """Return why ``ghost`` does not replace the convolution, or None if it is faster."""
        before, after = self.of(site, None), self.of(site, ghost)
        if after < before:
            return None
        return f"not faster in {self.runtime}: {before:.3g} ms, as a Ghost module {after:.3g} ms"
