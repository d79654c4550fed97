"""Numbers of output channels to choose among, and the sites that each of them concerns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ghostify.planning.rules import Rules
from ghostify.types import ConvSite, GhostifyError, Sensitivity

_STEPS = 16


def widths_of(channels: int) -> tuple[int, ...]:
    """Return the widths that a convolution may have, its own first.

    They are multiples of a power of two, the highest one up to a sixteenth of its channels.
    """
    step = 1 << (max(channels // _STEPS, 1).bit_length() - 1)
    return (channels, *range((channels - 1) // step * step, 0, -step))


def prunable_widths(
    sites: Sequence[ConvSite], rules: Rules, sensitivity: Sensitivity | None
) -> dict[str, tuple[int, ...]]:
    """Return the widths to choose among, by name of each site that may lose output channels.

    Those are the sites with a region whose sensitivity is known, if any is. The rules must leave
    none of them out, nor exclude a layer that would lose the same channels.
    """
    by_name = {site.name: site for site in sites}
    found = {}
    for site in sites:
        if site.region is None or rules.left_out(site):
            continue
        along = (*site.region.channelwise, *site.region.gates)
        excluded = any(rules.excluded(by_name[name]) for name in along if name in by_name)
        if not excluded and (sensitivity is None or _known_width(site, sensitivity)):
            found[site.name] = widths_of(site.geometry.out_channels)
    return found


def _known_width(site: ConvSite, sensitivity: Sensitivity) -> bool:
    if (known := sensitivity.widths.get(site.name)) is None:
        return False
    if len(known.order) != site.geometry.out_channels:
        raise GhostifyError(
            f"{site.name} has {site.geometry.out_channels} output channels, and "
            f"{len(known.order)} in the sensitivity: measure it again"
        )
    return True


@dataclass(frozen=True, slots=True)
class WidthTree:
    """The convolutions whose widths are chosen, as nodes of a forest.

    A layer reads one region at most, so that widths depend on each other along trees. A site whose
    inputs and outputs are fixed is a node by itself.

    Attributes:
        parents: parent of each node, by name of the convolution, parents first; None for a root.
        inputs: the convolution that decides how many inputs a site has, by name of the site.
        outputs: the convolution that decides how many outputs a site has, by name of the site.
    """

    parents: Mapping[str, str | None]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]

    @classmethod
    def of(cls, sites: Sequence[ConvSite], chosen: Collection[str]) -> WidthTree:
        """Return the forest of the sites of which the ``chosen`` ones have several widths.

        A gate that is computed from elsewhere may close a circle. A width in it is left out.
        """
        inputs: dict[str, str] = {}
        outputs: dict[str, str] = {}
        for site in sites:
            if site.name in chosen and (region := site.region):
                own = (site.name, *region.channelwise, *region.gates)
                outputs |= dict.fromkeys(own, site.name)
                inputs |= dict.fromkeys((*region.readers, *region.channelwise), site.name)
        neighbors: dict[str, set[str]] = {}
        for site in sites:
            ends = {names[site.name] for names in (inputs, outputs) if site.name in names}
            for end in ends or {site.name}:
                neighbors.setdefault(end, set()).update(ends - {end})
        parents: dict[str, str | None] = {}
        todo: list[tuple[str, str | None]] = [(name, None) for name in reversed(neighbors)]
        while todo:
            node, parent = todo.pop()
            if node not in parents:
                parents[node] = parent
                todo += [(name, node) for name in sorted(neighbors[node] - {parent})]
            elif parent is not None:  # a circle
                return cls.of(sites, set(chosen) - {node})
        return cls(parents, inputs, outputs)

    def node(self, site: ConvSite) -> str:
        """Return the node that has the table of a site: the lower one of two."""
        ends = [names[site.name] for names in (self.inputs, self.outputs) if site.name in names]
        if len(ends) == 2 and self.parents[ends[0]] == ends[1]:
            return ends[0]
        return ends[-1] if ends else site.name
