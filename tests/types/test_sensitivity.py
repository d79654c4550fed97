import json
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostify import GhostifyError, GhostSpec, Sensitivity

HALF, QUARTER = GhostSpec(2, 3), GhostSpec(4, 3)
SENSITIVITY = Sensitivity(
    damages={"wide": {HALF: 0.25, QUARTER: 1.5}, "project": {HALF: 0.0}},
    unit="KL (nats)",
    measured=True,
    totals={"macs": 4.1e9, "params": 25557032},
)

ghosts = st.builds(GhostSpec, st.floats(1.01, 64), st.sampled_from([1, 3, 5]))
damages = st.dictionaries(ghosts, st.floats(allow_nan=False, allow_infinity=False))


@given(st.dictionaries(st.text(), damages), st.booleans())
def test_json_round_trip(by_name, measured):
    sensitivity = Sensitivity(by_name, "loss", measured, {"macs": 1e9})
    assert Sensitivity.from_json(sensitivity.to_json()) == sensitivity


def test_json_has_one_line_a_layer():
    lines = SENSITIVITY.to_json().splitlines()
    entry = '"project": [{"ratio": 2, "dw_size": 3, "damage": 0.0}]'
    assert [line.strip() for line in lines if '"project"' in line] == [entry]


def test_the_damage_of_a_ghost_module_at_a_site():
    assert SENSITIVITY.damage("wide", GhostSpec(4.0, 3)) == 1.5
    assert SENSITIVITY.candidates == (HALF, QUARTER)


@pytest.mark.parametrize(
    ("name", "ghost", "message"),
    [
        ("narrow", HALF, "narrow is not in the sensitivity: measure it again"),
        ("project", QUARTER, "project: no damage known of s=4, d=3: measure it again"),
    ],
)
def test_what_was_not_measured_is_said(name, ghost, message):
    with pytest.raises(GhostifyError, match=message):
        SENSITIVITY.damage(name, ghost)


@pytest.mark.parametrize("damage", [nan, inf, "0.5", None, True])
def test_a_damage_is_a_finite_number(damage):
    with pytest.raises(GhostifyError, match="wide: the damage of s=2, d=3"):
        Sensitivity({"wide": {HALF: damage}}, "loss", measured=True)


def _not_finite(data):
    data["layers"]["wide"][0]["damage"] = nan


def _no_damage(data):
    del data["layers"]["wide"][0]["damage"]


def _misspelt(data):
    data["layers"]["wide"][0]["ration"] = 2


def _even(data):
    data["layers"]["wide"][0]["dw_size"] = 4


def _twice(data):
    data["layers"]["wide"].append(data["layers"]["wide"][0])


def _text_for_a_layer(data):
    data["layers"]["wide"] = "harmless"


def _no_list(data):
    data["layers"]["wide"] = 0.5


def _no_totals(data):
    del data["totals"]


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
        (_not_finite, "wide: the damage of s=2, d=3 .* finite"),
        (_no_damage, "wide: not a layer of a sensitivity .*damage"),
        (_misspelt, "wide: unknown key 'ration'; did you mean ratio"),
        (_even, r"wide: dw_size \(=4\)"),
        (_twice, "wide: s=2, d=3 stands there twice"),
        (_text_for_a_layer, "wide: not a layer of a sensitivity"),
        (_no_list, "wide: not a layer of a sensitivity"),
        (_no_totals, "not a sensitivity: it holds"),
        (_total_in_words, "totals: macs .* finite"),
        (_no_unit, "'unit' must say"),
        (_perhaps_measured, "'measured'"),
        (_another_format, "not a sensitivity: \"format\""),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_named(change, message):
    data = json.loads(SENSITIVITY.to_json())
    change(data)
    with pytest.raises(GhostifyError, match=message):
        Sensitivity.from_json(json.dumps(data))


def test_what_is_no_json_is_refused():
    with pytest.raises(GhostifyError, match=r"not JSON: .*line 1"):
        Sensitivity.from_json("{")
