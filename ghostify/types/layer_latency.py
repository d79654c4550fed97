"""How long each layer takes, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ghostify.types.conv_site import ConvSite
from ghostify.types.errors import GhostifyError
from ghostify.types.ghost_spec import GhostSpec


@dataclass(frozen=True, slots=True)
class LayerLatencies:
    """Milliseconds of one forward pass, site by site, in one runtime on one machine.

    Attributes:
        runtime: a name of `runtimes.RUNTIMES`.
        threads: of the runtime.
        total: of the whole network as it was.
        milliseconds: of each site by its qualified name: as it was (None), and as each Ghost module
            that was timed there.
    """

    runtime: str
    threads: int
    total: float
    milliseconds: Mapping[str, Mapping[GhostSpec | None, float]]

    def of(self, site: ConvSite, ghost: GhostSpec | None) -> float:
        """Milliseconds of a site, as it is or as a Ghost module; 0 where nothing can change.

        Raises:
            GhostifyError: if this was not timed.
        """
        if site.name not in self.milliseconds:
            if ghost is None:
                return 0.0
            raise GhostifyError(f"{site.name} is not in the latencies: measure them again")
        if ghost not in self.milliseconds[site.name]:
            raise GhostifyError(f"{site.name}: no latency known of {ghost}: measure it again")
        return self.milliseconds[site.name][ghost]

    def reason_to_keep(self, site: ConvSite, ghost: GhostSpec) -> str | None:
        """Why ``ghost`` is no gain in this runtime; None if it is faster."""
        before, after = self.of(site, None), self.of(site, ghost)
        if after < before:
            return None
        return f"not faster in {self.runtime}: {before:.3g} ms, as a Ghost module {after:.3g} ms"
