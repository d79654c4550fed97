"""Checks of one network."""

from __future__ import annotations

import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from networks import Network
from torch import Tensor, nn
from torch.utils._pytree import tree_iter

import ghostify
from ghostify import GhostifyError, GhostSpec, Plan
from ghostify.analysis.verification import describe_output
from ghostify.planning import cost, plan_sites
from ghostify.types import ConvSite, split_example

RATIOS = (2, 4)
SHARE = 0.5

MOST_CHANNELS = 16_000
WIDEST = 2048
"""Prunable channels of a network, and of one layer, above which it is not planned within a budget:
ordering them takes longer than the processor time of a network. ResNet-50 has 7,616 and 512,
EfficientNet-B4 30,808 and 2,688; the classifier of timm's VGG consists of convolutions of 4,096."""


@dataclass
class Finding:
    """Results of one network.

    Attributes:
        sites, replaced: numbers of convolutions, at s = 2.
        kept: number of kept convolutions by reason.
        candidates: convolutions that a Ghost module of s = 2 would make cheaper: they have one
            group and feature maps larger than 1x1, run, are not the first, and not in a Ghost
            module.
        kept_candidates: the candidates that were kept.
        macs: MACs of all convolutions, before and after.
        share: share of the network's MACs that the plan with a budget may cost: `SHARE`, or the
            lowest possible; 1 if it has more channels than `MOST_CHANNELS` or `WIDEST`.
        narrowed, ghosts: numbers of convolutions that lose output channels, and that are replaced,
            in that plan.
        seconds: total time.
        faults: failures.
    """

    name: str
    sites: int = 0
    replaced: int = 0
    kept: dict[str, int] = field(default_factory=dict)
    candidates: int = 0
    kept_candidates: list[str] = field(default_factory=list)
    macs: tuple[int, int] = (0, 0)
    share: float = 1.0
    narrowed: int = 0
    ghosts: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


def examine(network: Network) -> Finding:
    """Convert at each ratio and within a budget, and check each result.

    It is run in both modes, trained for a step, saved, loaded and compared.
    """
    start = time.perf_counter()
    torch.manual_seed(0)
    finding = Finding(network.name)
    model = network.build().eval()
    example = network.example(model)
    sites = ghostify.analyze(model, example)
    _count(finding, model, sites)
    plans: dict[str, Callable[[], Plan]] = {}
    if finding.replaced:
        plans = {f"s={ratio}": partial(plan_sites, sites, ratio=ratio) for ratio in RATIOS}
    prunable = [site.geometry.out_channels for site in sites if site.region]
    affordable = sum(prunable) <= MOST_CHANNELS and max(prunable, default=0) <= WIDEST
    if (finding.replaced or prunable) and affordable:
        plans["budget"] = partial(_plan_within_budget, finding, model, example, sites)
    for name, make in plans.items():
        try:
            _check(model, example, make())
        except Exception as error:
            finding.faults.append(f"{name}: {type(error).__name__}: {error}"[:300])
    finding.seconds = time.perf_counter() - start
    return finding


def _count(finding: Finding, model: nn.Module, sites: tuple[ConvSite, ...]) -> None:
    plan = plan_sites(sites, ratio=2)
    ghost = GhostSpec(2)
    finding.sites = len(sites)
    finding.replaced = len(plan.replaced)
    finding.kept = dict(Counter(_brief(d.keep) for d in plan.decisions if d.keep))
    candidates = [
        site
        for site in sites
        if site.type.find("Conv") >= 0
        and not site.functional
        and isinstance(model.get_submodule(site.name), nn.Conv2d)
        and site.geometry.groups == 1
        and not site.stem
        and site.calls
        and site.output != (1, 1)
        and site.ineligible != "part of a Ghost module"
        and cost.weights(site.geometry, ghost) < site.geometry.weights
    ]
    finding.candidates = len(candidates)
    finding.kept_candidates = [s.name for s in candidates if s.name not in plan.replaced]
    before = {site.name: cost.macs(site) for site in sites}
    after = {s.name: cost.macs(s, plan.replaced[s.name]) for s in sites if s.name in plan.replaced}
    finding.macs = (sum(before.values()), sum((before | after).values()))
    convolutions = {n for n, m in model.named_modules() if isinstance(m, nn.modules.conv._ConvNd)}
    if unexplained := convolutions - {site.name for site in sites}:
        finding.faults.append(f"unexplained: {sorted(unexplained)[:3]}")


def _brief(reason: str | None) -> str:
    return (reason or "").split(":")[0].split(" at ratio")[0]


def _plan_within_budget(
    finding: Finding, model: nn.Module, example: Any, sites: tuple[ConvSite, ...]
) -> Plan:
    """Plan at `SHARE` of the MACs, or the lowest share that there is."""
    candidates = [GhostSpec(ratio) for ratio in RATIOS]
    sensitivity = ghostify.sensitivity(model, example, candidates=candidates, progress=False)
    finding.share = SHARE
    try:
        plan = plan_sites(sites, budget={"macs": finding.share}, sensitivity=sensitivity)
    except GhostifyError as error:
        lowest = re.search(r"the lowest possible is ([\d.]+) ", str(error))
        if lowest is None:
            raise
        finding.share = float(lowest[1])
        plan = plan_sites(sites, budget={"macs": finding.share}, sensitivity=sensitivity)
    finding.narrowed, finding.ghosts = len(plan.widths), len(plan.replaced)
    return plan


def _check(model: nn.Module, example: Any, plan: Plan) -> None:
    ghost = ghostify.convert(model, example, plan=plan, init="random", progress=False)
    decisions = Plan.of(ghost).decisions
    reasons = {d.site.name: f"{d.keep} {d.site.unprunable}" for d in decisions}
    back = [name for name, reason in reasons.items() if "put back" in reason]
    assert not back, f"put back: {back}"
    exact = isinstance(example, Tensor)
    expected, found = (
        describe_output(_call(m.eval(), example), exact=exact) for m in (model, ghost)
    )
    assert found == expected, f"{found} instead of {expected}"
    with tempfile.TemporaryDirectory() as folder:
        loaded = ghostify.load(ghostify.save(ghost, f"{folder}/ghost"), model)
    pairs = zip(_tensors(ghost, example), _tensors(loaded.eval(), example), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs), "another output after save and load"
    _step(ghost.train(), example)


def _call(model: nn.Module, example: Any) -> Any:
    args, kwargs = split_example(example)
    torch.manual_seed(1)
    with torch.no_grad():
        return model(*args, **kwargs)


def _tensors(model: nn.Module, example: Any) -> list[Tensor]:
    return [value for value in tree_iter(_call(model, example)) if isinstance(value, Tensor)]


def _step(ghost: nn.Module, example: Any) -> None:
    args, kwargs = split_example(example)
    outputs = [v for v in tree_iter(ghost(*args, **kwargs)) if isinstance(v, Tensor)]
    loss = sum(value.float().mean() for value in outputs if value.requires_grad)
    loss.backward()
    modules = [m for m in ghost.modules() if isinstance(m, ghostify.GhostModule)]
    reached = [m for m in modules if m.cheap_operation[0].weight.grad is not None]
    assert reached or not modules, "no gradient reaches any Ghost module"
    torch.optim.SGD(ghost.parameters(), lr=1e-3).step()
