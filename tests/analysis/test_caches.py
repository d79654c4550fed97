from functools import cache, lru_cache

import pytest
import torch
from torch import nn

import ghostify
from ghostify.analysis.dry_run import dry_run

GRID = None
GRIDS = {}


def in_a_global(net, x):
    global GRID
    if GRID is None or GRID.shape[-1] != x.shape[-1]:
        GRID = torch.ones(x.shape[-1])
    return GRID


def in_a_dict(net, x):
    if x.shape not in GRIDS:
        GRIDS[x.shape] = {"grid": torch.ones_like(x)}
    return GRIDS[x.shape]["grid"]


@lru_cache
def grids(size):
    return [torch.ones(size)]


@cache
def unbounded_grids(size):
    return torch.ones(size)


ELSEWHERE = {"__name__": "elsewhere"}
exec(
    """
import torch

GRIDS = {}

def imported(size):
    if size not in GRIDS:
        GRIDS[size] = torch.ones(size)
    return GRIDS[size]
""",
    ELSEWHERE,
)
imported = ELSEWHERE["imported"]


class Net(nn.Module):
    """Adds a grid that it takes from a cache."""

    grids = {}

    def __init__(self, cached):
        super().__init__()
        self.conv, self.cached = nn.Conv2d(3, 4, 3, padding=1), cached

    def forward(self, x):
        return self.conv(x + self.cached(self, x))

    def in_the_class(self, x):
        return self.grids.setdefault(x.shape[-1], torch.ones(x.shape[-1]))

    @staticmethod
    @lru_cache
    def by_a_method(size):
        return torch.ones(size)


CACHES = [
    in_a_global,
    in_a_dict,
    Net.in_the_class,
    lambda net, x: grids(x.shape[-1])[0],
    lambda net, x: unbounded_grids(x.shape[-1]),
    lambda net, x: net.by_a_method(x.shape[-1]),
    lambda net, x: imported(x.shape[-1]),
]


@pytest.mark.parametrize("cached", CACHES)
def test_the_original_runs_after_a_dry_run_on_meta(cached):
    net, x = Net(cached), torch.ones(1, 3, 8, 8)
    assert dry_run(net, x).on_meta
    assert net(x).device.type == "cpu"


@pytest.mark.parametrize("cached", CACHES)
def test_the_original_runs_after_it_was_analyzed(cached):
    net, x = Net(cached), torch.ones(1, 3, 9, 9)
    ghostify.analyze(net, x)
    assert net(x).device.type == "cpu"


def test_a_real_run_finds_no_meta_tensors_of_the_meta_run():
    net = Net(lambda net, x: in_a_dict(net, x) * float(x.max()))
    assert not dry_run(net, torch.ones(1, 3, 10, 10)).on_meta


def test_what_was_cached_before_is_kept():
    x = torch.ones(1, 3, 11, 11)
    grid = in_a_dict(None, x)
    dry_run(Net(in_a_dict), torch.ones(1, 3, 12, 12))
    assert in_a_dict(None, x) is grid


def test_meta_tensors_that_were_there_before_are_kept():
    GRIDS["meta"] = torch.ones(1, device="meta")
    dry_run(Net(in_a_dict), torch.ones(1, 3, 13, 13))
    assert GRIDS.pop("meta").is_meta


def test_a_cache_without_new_entries_is_not_cleared():
    kept = grids(14)
    dry_run(Net(lambda net, x: grids(14)[0].to(x)), torch.ones(1, 3, 14, 14))
    assert grids(14) is kept
