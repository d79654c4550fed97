import pytest

from ghostify import ConvSite, Geometry, GhostifyError, GhostSpec
from ghostify.planning.cost import COSTS, cost_named

SITE = ConvSite(
    name="c",
    type="Conv2d",
    geometry=Geometry(
        in_channels=3, out_channels=9, kernel_size=(3, 3), stride=(1, 1), padding=(0, 0),
        dilation=(1, 1), groups=1, bias=True, padding_mode="zeros",
    ),
    positions=100,
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "dense", "ghost"),
    [
        ("macs", 100 * 9 * 27, 100 * (5 * 27 + 4 * 9)),
        ("params", 9 * 27 + 9, 5 * 27 + 4 * 9 + 9),
        ("activations", 4 * 100 * 9, 4 * 100 * (5 + 4 + 9)),
    ],
)
def test_costs_by_hand(name, dense, ghost):
    assert cost_named(name)(SITE, None) == dense
    assert cost_named(name)(SITE, GhostSpec(2, 3)) == ghost


def test_a_new_cost_is_one_entry(monkeypatch):
    monkeypatch.setitem(COSTS, "layers", lambda site, ghost: 1 if ghost is None else 2)
    assert cost_named("layers")(SITE, GhostSpec()) == 2


def test_an_unknown_cost_shows_those_that_are_known():
    with pytest.raises(GhostifyError, match="unknown cost 'param': known are macs, params, act"):
        cost_named("param")
