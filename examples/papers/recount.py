"""Build, convert and count the networks of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from printed import PaperRow, PaperTable

from ghostify import models
from ghostify.analysis import analyze
from ghostify.conversion.convert import convert
from ghostify.deployment.reparameterize import reparameterize
from ghostify.planning import plan_sites
from ghostify.planning.flops import count
from ghostify.types import ModelSource

Progress = Callable[[str, int, int, None], None]
"""Called before each row with its network, how many rows are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class Recount:
    """Counted parameters and MACs of a network."""

    params: int
    macs: int


def recount(
    tables: Sequence[PaperTable], progress: Progress | None = None
) -> tuple[tuple[Recount | None, ...], ...]:
    """Return parameters and MACs for every row of every table.

    A row is None if it has no network to build, or if the network's library is not installed.
    """
    known = set(models.names())
    total = sum(len(table.rows) for table in tables)
    done = 0
    found = []
    for table in tables:
        recounts = []
        for row in table.rows:
            if progress is not None:
                progress(row.network, done, total, None)
            recounts.append(_recount(row, table) if row.model in known else None)
            done += 1
        found.append(tuple(recounts))
    return tuple(found)


def _recount(row: PaperRow, table: PaperTable) -> Recount:
    assert row.model is not None
    with torch.device("meta"):  # counts need no weights
        network, source = models.build(ModelSource(row.model, row.arguments))
        example = models.example(source)
    if row.ghost is not None:
        decisions = plan_sites(
            analyze(network, example),
            ratio=row.ghost.ratio,
            dw_size=row.ghost.dw_size,
            stem=table.stem,
            all_eligible=True,
        )
        network = convert(network, example, plan=decisions, init="random", verify=False)
    if row.fused:
        network = reparameterize(network)
    counted = count(network, example)
    return Recount(counted.params, sum(counted.macs.get(name, 0) for name in table.counted))
