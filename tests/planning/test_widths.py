import pytest
from torch import nn

from ghostify import GhostifyError
from ghostify.planning.rules import Rules
from ghostify.planning.widths import WidthTree, prunable_widths, widths_of
from ghostify.types import ConvSite, Geometry, Region, Sensitivity, WidthSensitivity


@pytest.mark.parametrize(
    ("channels", "widths"),
    [
        (1, (1,)),
        (5, (5, 4, 3, 2, 1)),
        (40, (40, *range(38, 0, -2))),
        (128, tuple(range(128, 0, -8))),
        (140, (140, *range(136, 0, -8))),
        (1000, (1000, *range(992, 0, -32))),
    ],
)
def test_multiples_of_a_power_of_two(channels, widths):
    assert widths_of(channels) == widths


def site(name, inputs=8, outputs=8, region=None, **more):
    geometry = Geometry.of(nn.Conv2d(inputs, outputs, 1, device="meta"))
    return ConvSite(name=name, type="Conv2d", geometry=geometry, region=region, **more)


SQUEEZE = [  # a depthwise layer and a squeeze-and-excitation between two convolutions
    site("expand", region=Region(channelwise=("norm", "dw"), gates=("up",),
                                 readers={"down": 1, "project": 1})),
    site("dw"),
    site("down", outputs=4, region=Region(readers={"up": 1})),
    site("up", inputs=4),
    site("project"),
    site("head"),
]  # fmt: skip


def test_a_gate_has_inputs_and_outputs_of_two_nodes():
    tree = WidthTree.of(SQUEEZE, ["expand", "down"])
    assert tree.parents == {"expand": None, "down": "expand", "head": None}
    assert [tree.inputs.get(s.name) for s in SQUEEZE] == [
        None, "expand", "expand", "down", "expand", None,
    ]  # fmt: skip
    assert [tree.outputs.get(s.name) for s in SQUEEZE] == [
        "expand", "expand", "down", "expand", None, None,
    ]  # fmt: skip
    assert [tree.node(s) for s in SQUEEZE] == [
        "expand", "expand", "down", "down", "expand", "head",
    ]  # fmt: skip


def test_what_closes_a_circle_is_left_out():
    """A gate of ``b`` may be computed by the next layer alone, not by the one after it."""
    sites = [
        site("a", region=Region(readers={"b": 1})),
        site("b", region=Region(readers={"c": 1}, gates=("gate",))),
        site("c", region=Region(readers={"gate": 1})),
        site("gate"),
    ]
    assert len(WidthTree.of(sites, ["a", "b", "c"]).parents) == 3
    sites[2] = site("c", region=Region(readers={"d": 1}))
    sites.insert(3, site("d", region=Region(readers={"gate": 1})))
    tree = WidthTree.of(sites, ["a", "b", "c", "d"])
    assert set(tree.outputs.values()) < {"a", "b", "c", "d"}


def test_what_is_left_out_keeps_its_width():
    def found(**rules):
        return set(prunable_widths(SQUEEZE, Rules(**rules), None))

    assert found() == {"expand", "down"}
    assert found(exclude=("down",)) == {"expand"}
    assert found(include=("down",)) == {"down"}
    assert found(exclude=("dw",)) == {"down"}
    assert found(exclude=("up",)) == {"down"}


def test_the_first_convolution_may_lose_channels():
    stem = [site("stem", region=Region(readers={"head": 1}), stem=True), site("head")]
    assert prunable_widths(stem, Rules(), None)
    assert not prunable_widths(stem, Rules(exclude=("stem",)), None)


def test_a_width_whose_sensitivity_is_not_known_stays():
    def known(channels):
        width = WidthSensitivity(tuple(range(channels)), (1.0,) * (channels - 1))
        return Sensitivity(unit="loss", measured=True, layers={}, widths={"down": width})

    assert prunable_widths(SQUEEZE, Rules(), known(4)) == {"down": (4, 3, 2, 1)}
    with pytest.raises(GhostifyError, match="down has 4 output channels, and 5 in the sens"):
        prunable_widths(SQUEEZE, Rules(), known(5))
