"""Costs by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostify import GhostifyError, GhostModule, GhostSpec
from ghostify.planning import cost, plan_sites
from ghostify.planning.budget import Budget
from ghostify.types import ConvSite, Geometry


def geometry(inputs, outputs, kernel, *, bias=False):
    return Geometry(
        in_channels=inputs, out_channels=outputs, kernel_size=(kernel, kernel), stride=(1, 1),
        padding=(0, 0), dilation=(1, 1), groups=1, bias=bias, padding_mode="zeros",
    )  # fmt: skip


SITE = ConvSite(name="c", type="Conv2d", geometry=geometry(3, 9, 3, bias=True), positions=100)


def test_a_convolution_by_hand():
    site = ConvSite(name="c", type="Conv2d", geometry=geometry(3, 8, 3, bias=True), positions=100)
    assert cost.params(site) == 8 * 3 * 9 + 8
    assert cost.macs(site) == 100 * 8 * 3 * 9


@pytest.mark.parametrize(
    ("outputs", "ghost", "weights"),
    [
        (8, GhostSpec(2, 3), 4 * 27 + 4 * 9),
        (9, GhostSpec(2, 3), 5 * 27 + 4 * 9),  # the odd one is an intrinsic map
        (8, GhostSpec(4, 5), 2 * 27 + 6 * 25),
        (10, GhostSpec(1.5, 1), 7 * 27 + 3),
    ],
)
def test_a_ghost_module_by_hand(outputs, ghost, weights):
    with_bias = geometry(3, outputs, 3, bias=True)
    site = ConvSite(name="c", type="Conv2d", geometry=with_bias, positions=100)
    assert cost.weights(with_bias, ghost) == weights
    assert cost.params(site, ghost) == weights + outputs
    assert cost.macs(site, ghost) == 100 * weights


@given(
    st.integers(1, 9), st.integers(2, 40), st.sampled_from([1, 3, 5]), st.booleans(),
    st.sampled_from([1.5, 2, 3, 4, 7.3]), st.sampled_from([1, 3, 5]),
)  # fmt: skip
def test_parameters_are_those_of_the_layer(inputs, outputs, kernel, bias, ratio, dw_size):
    ghost = GhostSpec(ratio, dw_size)
    if ghost.intrinsic(outputs) == outputs:
        return
    module = GhostModule(
        inputs, outputs, kernel, bias=bias, ratio=ratio, dw_size=dw_size, device="meta"
    )
    counted = sum(parameter.numel() for parameter in module.parameters())
    site = ConvSite(name="c", type="Conv2d", geometry=geometry(inputs, outputs, kernel, bias=bias))
    assert cost.params(site, ghost) == counted


def test_equation_4():
    # c = 256, k = 3, s = 2, d = 3: 2304 / (1152 + 4.5); and s c / (s + c - 1) where d = k.
    speedup = cost.eq4_speedup(geometry(256, 64, 3), GhostSpec(2, 3))
    assert speedup == pytest.approx(2304 / 1156.5)
    assert speedup == pytest.approx(2 * 256 / (2 + 256 - 1))


@pytest.mark.parametrize(
    ("name", "dense", "ghost"),
    [
        ("macs", 100 * 9 * 27, 100 * (5 * 27 + 4 * 9)),
        ("params", 9 * 27 + 9, 5 * 27 + 4 * 9 + 9),
        ("activations", 4 * 100 * 9, 4 * 100 * (5 + 4 + 9)),
    ],
)
def test_costs_by_name(name, dense, ghost):
    assert cost.COSTS[name](SITE, None) == dense
    assert cost.COSTS[name](SITE, GhostSpec(2, 3)) == ghost


def test_a_new_cost_is_one_entry(monkeypatch):
    monkeypatch.setitem(cost.COSTS, "layers", lambda site, ghost: 1 if ghost is None else 2)
    assert plan_sites([SITE], budget=["layers=2K", "macs=0.9"]).replaced
    with pytest.raises(GhostifyError, match="layers=1, macs=0.9 cannot be met together"):
        plan_sites([SITE], budget=["layers=1", "macs=0.9"])


def test_the_error_names_the_known_costs():
    with pytest.raises(GhostifyError, match="unknown cost 'param': known are macs, params, act"):
        Budget("param", 1)
