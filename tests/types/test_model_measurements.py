import json
import re
from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ghostify import GhostifyError, GhostSpec
from ghostify.types import ConvSite, Count, Geometry, LayerLatencies, Sensitivity, WidthSensitivity

HALF, QUARTER = GhostSpec(2, 3), GhostSpec(4, 3)
SENSITIVITY = Sensitivity(
    layers={"wide": {HALF: 0.25, QUARTER: 1.5}, "project": {HALF: 0.0}},
    unit="KL (nats)",
    measured=True,
    totals={"macs": 4.1e9, "params": 25557032},
)

ghosts = st.builds(GhostSpec, st.floats(1.01, 64), st.sampled_from([1, 3, 5]))
increases = st.dictionaries(ghosts, st.floats(allow_nan=False, allow_infinity=False))


@given(st.dictionaries(st.text(), increases), st.booleans())
def test_json_round_trip(by_name, measured):
    sensitivity = Sensitivity(unit="loss", measured=measured, totals={"macs": 1e9}, layers=by_name)
    assert Sensitivity.from_json(sensitivity.to_json()) == sensitivity


def test_json_has_one_line_a_layer():
    lines = SENSITIVITY.to_json().splitlines()
    entry = '"project": [{"ratio": 2, "dw_size": 3, "value": 0.0}]'
    assert [line.strip() for line in lines if '"project"' in line] == [entry]


def test_the_sensitivity_of_a_layer_to_a_ghost_module():
    assert SENSITIVITY.of("wide", GhostSpec(4.0, 3)) == 1.5
    assert SENSITIVITY.candidates == (HALF, QUARTER)


@pytest.mark.parametrize(
    ("name", "ghost", "message"),
    [
        ("narrow", HALF, "narrow is not in the sensitivity: measure it again"),
        ("project", QUARTER, "project: no sensitivity to s=4, d=3: measure it again"),
    ],
)
def test_what_was_not_measured_is_named(name, ghost, message):
    with pytest.raises(GhostifyError, match=message):
        SENSITIVITY.of(name, ghost)


WIDTHS = WidthSensitivity(order=(2, 0, 3, 1), increases=(0.5, 1.5, 4.0))


def test_the_sensitivity_of_a_layer_to_its_width():
    assert [WIDTHS.of(width) for width in (4, 3, 2, 1)] == [0, 0.5, 1.5, 4]
    assert [WIDTHS.channels(width) for width in (4, 3, 1)] == [(0, 1, 2, 3), (0, 1, 3), (1,)]
    found = Sensitivity(unit="loss", measured=True, layers={}, widths={"wide": WIDTHS})
    assert Sensitivity.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("order", "increases", "message"),
    [
        ((0, 2), (1.0,), "`order` must hold each of 2 channels once"),
        ((1, 0), (1.0, 2.0), "`increases` must have 1 entries"),
        ((1, 0), (nan,), "`increases` must be finite"),
    ],
)
def test_a_sensitivity_to_widths_is_checked(order, increases, message):
    with pytest.raises(GhostifyError, match=message):
        WidthSensitivity(order, increases)


def test_what_a_sensitivity_covers():
    layers = {"wide": {HALF: 1.0}, "ghosts": {HALF: 1.0}}
    found = Sensitivity(unit="loss", measured=True, layers=layers, widths={"wide": WIDTHS})
    assert found.covers("wide", HALF, 2)
    assert found.covers("wide", None, 2)
    assert found.covers("any", None, None)
    assert found.covers("ghosts", HALF, None)
    assert not found.covers("ghosts", HALF, 2)
    assert not found.covers("wide", QUARTER, 2)


def test_the_sensitivity_of_a_layer_to_dropped_channels():
    known = replace(SENSITIVITY, widths={"wide": WIDTHS})
    assert [known.of_width("wide", width) for width in (4, 3, 2)] == [0, 0.5, 1.5]
    with pytest.raises(GhostifyError, match="project: no sensitivity to dropped channels: measure"):
        known.of_width("project", 2)


@pytest.mark.parametrize("value", [nan, inf, "0.5", None, True])
def test_a_sensitivity_is_a_finite_number(value):
    with pytest.raises(GhostifyError, match="wide: sensitivity to s=2, d=3 .* finite"):
        Sensitivity(unit="loss", measured=True, layers={"wide": {HALF: value}})


def _not_finite(data):
    data["layers"]["wide"][0]["value"] = nan


def _no_value(data):
    del data["layers"]["wide"][0]["value"]


def _misspelled(data):
    data["layers"]["wide"][0]["ration"] = 2


def _even(data):
    data["layers"]["wide"][0]["dw_size"] = 4


def _twice(data):
    data["layers"]["wide"].append(data["layers"]["wide"][0])


def _text_for_a_layer(data):
    data["layers"]["wide"] = "harmless"


def _no_list(data):
    data["layers"]["wide"] = 0.5


def _no_unit_key(data):
    del data["unit"]


def _infinite_total(data):
    data["totals"]["macs"] = inf


def _total_in_words(data):
    data["totals"]["macs"] = "4G"


def _no_unit(data):
    data["unit"] = " "


def _perhaps_measured(data):
    data["measured"] = "perhaps"


def _another_format(data):
    data["format"] = "ghostify-plan/1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_not_finite, "wide: sensitivity to s=2, d=3 (=nan) must be a finite number"),
        (_no_value, "`layers['wide'][0]` (={'dw_size': 3, 'ratio': 2}) must be an object with"),
        (_misspelled, "layers['wide'][0]: unknown key 'ration'; did you mean ratio"),
        (_even, "layers['wide'][0]: `dw_size` (=4)"),
        (_twice, "layers['wide'][2]: s=2, d=3 appears twice"),
        (_text_for_a_layer, "`layers['wide']` (='harmless') must be a list of records"),
        (_no_list, "`layers['wide']` (=0.5) must be a list of records"),
        (_no_unit_key, "'unit' is missing"),
        (_total_in_words, "`totals['macs']` (='4G') must be a number"),
        (_infinite_total, "`totals['macs']` (=inf) must be a finite number"),
        (_no_unit, "`unit` (=' ') must name a unit"),
        (_perhaps_measured, "`measured` (='perhaps') must be true or false"),
        (_another_format, "`format` must be 'ghostify-sensitivity/1'"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_named(change, message):
    data = json.loads(SENSITIVITY.to_json())
    change(data)
    with pytest.raises(GhostifyError, match=re.escape(f"invalid sensitivity: {message}")):
        Sensitivity.from_json(json.dumps(data))


def test_a_syntax_error_is_named():
    with pytest.raises(GhostifyError, match=r"not JSON: .*line 1"):
        Sensitivity.from_json("{")


def bilinear(inputs, outputs):
    return 1 + 0.01 * inputs + 0.02 * outputs + 0.001 * inputs * outputs


@pytest.fixture
def timed():
    """A 3x3 convolution with 16 inputs and 32 outputs, and its latencies with fewer."""
    geometry = Geometry.of(nn.Conv2d(16, 32, 3, device="meta"))
    site = ConvSite(name="c", type="Conv2d", geometry=geometry)
    grid = {(i, o): bilinear(i, o) for i in (16, 8, 4) for o in (32, 16, 8)}
    times = {None: bilinear(16, 32), GhostSpec(2, 3): bilinear(16, 16) + 0.32}
    return site, LayerLatencies("eager", 1, 10.0, {"c": times}, {"c": grid})


@pytest.mark.parametrize(("inputs", "outputs"), [(16, 32), (8, 32), (12, 20), (6, 10), (2, 3)])
def test_latencies_of_fewer_channels_are_interpolated(timed, inputs, outputs):
    site, latencies = timed
    narrowed = site.narrowed(inputs, outputs)
    assert latencies.of(narrowed, None) == pytest.approx(bilinear(inputs, outputs))
    expected = bilinear(inputs, -(-outputs // 2)) + 0.01 * outputs
    assert latencies.of(narrowed, GhostSpec(2, 3)) == pytest.approx(expected)


def test_latencies_of_all_channels_are_those_that_were_timed(timed):
    site, latencies = timed
    assert all(
        latencies.of(site, ghost) == pytest.approx(ms)
        for ghost, ms in latencies.milliseconds["c"].items()
    )


def test_a_latency_is_never_below_0():
    site = ConvSite(name="c", type="Conv2d", geometry=Geometry.of(nn.Conv2d(16, 16, 3)))
    grid = {(16, 16): 1.0, (16, 8): 0.3}
    latencies = LayerLatencies("eager", 1, 10.0, {"c": {None: 1.0}}, {"c": grid})
    assert latencies.of(site.narrowed(outputs=2), None) == 0


@pytest.mark.parametrize(
    ("macs", "total"),
    [({}, 0), ({"conv": 3}, 3), ({"linear": 4}, 4), ({"conv": 3, "linear": 4, "norm": 5}, 7)],
)
def test_macs_that_papers_report(macs, total):
    count = Count(1, 4, macs, {})
    assert count.conv_and_linear_macs == total
    assert count.total_macs == sum(macs.values())
