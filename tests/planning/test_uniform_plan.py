import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError, GhostSpec
from ghostify.planning import plan_sites


@pytest.fixture
def sites(small_net, image):
    return ghostify.analyze(small_net, image)


def kept(plan):
    return {d.site.name: d.keep for d in plan.decisions if d.keep}


def test_the_uniform_plan(sites):
    plan = plan_sites(sites, ratio=4, dw_size=5)
    assert plan.replaced == {"wide": GhostSpec(4, 5)} | {"project": GhostSpec(4, 5)}
    assert kept(plan) == {"stem": "first convolution (stem)", "depthwise": "depthwise"}


def test_every_site_has_its_decision_in_order(sites):
    assert [d.site for d in plan_sites(sites).decisions] == list(sites)


def test_the_stem_on_request(sites):
    assert "stem" in plan_sites(sites, stem=True).replaced


@pytest.mark.parametrize(
    ("patterns", "replaced"),
    [
        (["wide"], {"wide"}),
        (["p*"], {"project"}),
        (["Conv2d"], {"wide", "project"}),
        (["SmallNet"], {"wide", "project"}),
        (["wide", "project"], {"wide", "project"}),
    ],
)
def test_include(sites, patterns, replaced):
    plan = plan_sites(sites, include=patterns)
    assert set(plan.replaced) == replaced
    rest = {"wide", "project"} - replaced
    assert {n for n, reason in kept(plan).items() if reason == "not included"} == rest


def test_one_pattern_needs_no_list(sites):
    assert set(plan_sites(sites, include="wide").replaced) == {"wide"}
    assert set(plan_sites(sites, exclude="wide").replaced) == {"project"}


def test_sites_may_be_a_generator(sites):
    assert plan_sites((s for s in sites), include="wide") == plan_sites(sites, include="wide")


def test_exclude(sites):
    plan = plan_sites(sites, exclude=["w*"])
    assert set(plan.replaced) == {"project"}
    assert kept(plan)["wide"] == "excluded by w*"


def test_a_module_stands_for_what_is_in_it():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3)))
    sites = ghostify.analyze(model, torch.zeros(1, 3, 9, 9))
    assert set(plan_sites(sites, include=["1"]).replaced) == {"1.0", "1.1"}
    assert set(plan_sites(sites, include=["1.*"], exclude=["1.1"]).replaced) == {"1.0"}


@pytest.mark.parametrize("option", ["include", "exclude"])
def test_a_pattern_that_matches_nothing_shows_near_names(sites, option):
    with pytest.raises(
        GhostifyError, match="'projekt' matches no convolution; did you mean projec"
    ):
        plan_sites(sites, **{option: ["projekt"]})


def one_site(conv, size=8):
    model = nn.Sequential(nn.Conv2d(3, conv.in_channels, 3, padding=1), conv)
    return ghostify.analyze(model, torch.zeros(1, 3, size, size))


def test_a_ghost_module_with_more_weights_is_not_taken():
    # 1x1 from 4 maps to 8: 32 weights; Ghost with d=5: 4 x 4 + 4 x 25 = 116.
    sites = one_site(nn.Conv2d(4, 8, 1))
    assert kept(plan_sites(sites, dw_size=5))["1"] == "a Ghost module would not cost less"
    assert "1" in plan_sites(sites, dw_size=5, all_eligible=True).replaced
    assert "1" in plan_sites(sites, dw_size=1).replaced


def test_a_1x1_output_is_kept():
    sites = one_site(nn.Conv2d(8, 64, 8))
    assert kept(plan_sites(sites))["1"].startswith("1x1 output map")
    assert "1" in plan_sites(sites, all_eligible=True).replaced


def test_a_ratio_too_small_for_the_width():
    sites = one_site(nn.Conv2d(8, 4, 3))
    plan = plan_sites(sites, ratio=1.2, all_eligible=True)
    assert kept(plan)["1"] == "too few output channels (4) at ratio 1.2"


@pytest.mark.parametrize("numbers", [{"ratio": 1}, {"ratio": float("nan")}, {"dw_size": 4}])
def test_numbers_out_of_range(sites, numbers):
    with pytest.raises(GhostifyError, match=next(iter(numbers))):
        plan_sites(sites, **numbers)
