import json
from dataclasses import replace

import pytest

import ghostify
from ghostify import Decision, GhostifyError, GhostSpec, Plan
from ghostify.planning import plan_sites


@pytest.fixture
def plan(small_net, image):
    return plan_sites(ghostify.analyze(small_net, image))


def edited(plan, change):
    data = json.loads(plan.to_json())
    change(data)
    return json.dumps(data)


def test_json_round_trip(plan):
    assert Plan.from_json(plan.to_json()) == plan


def test_json_has_one_line_a_layer_and_the_decision_first(plan):
    lines = {line.split('"')[1]: line for line in plan.to_json().splitlines() if '"type"' in line}
    assert list(lines) == ["stem", "wide", "depthwise", "project"]
    assert lines["stem"].lstrip().startswith('"stem": {"keep": "first convolution (stem)"')
    assert lines["wide"].lstrip().startswith('"wide": {"ghost": {"ratio": 2, "dw_size": 3}')


def test_an_edited_ratio_is_read(plan):
    def change(data):
        data["layers"]["wide"]["ghost"]["ratio"] = 3.5

    assert Plan.from_json(edited(plan, change)).replaced["wide"] == GhostSpec(3.5, 3)


def test_a_layer_can_be_kept_by_hand(plan):
    def change(data):
        del data["layers"]["wide"]["ghost"]
        data["layers"]["wide"]["keep"] = "it matters"

    assert "wide" not in Plan.from_json(edited(plan, change)).replaced


def _both(layer):
    layer["wide"]["keep"] = "too"


def _neither(layer):
    del layer["wide"]["ghost"]


def _even(layer):
    layer["wide"]["ghost"]["dw_size"] = 4


def _not_a_number(layer):
    layer["wide"]["ghost"]["ratio"] = float("nan")


def _misspelt(layer):
    layer["wide"]["ghost"]["ration"] = 2


def _text_for_a_layer(layer):
    layer["wide"] = "ghost"


def _no_geometry(layer):
    del layer["wide"]["geometry"]


def _no_reason(layer):
    layer["stem"]["keep"] = " "


def _impossible(layer):
    del layer["depthwise"]["keep"]
    layer["depthwise"]["ghost"] = {"ratio": 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_both, "wide: say either 'ghost' or 'keep'"),
        (_neither, "wide: say either 'ghost' or 'keep'"),
        (_even, r"wide: dw_size \(=4\)"),
        (_not_a_number, r"wide: ratio \(=nan\)"),
        (_misspelt, "wide: unknown key 'ration'; did you mean ratio"),
        (_text_for_a_layer, "wide: not a layer of a plan"),
        (_no_geometry, "wide: not a layer of a plan"),
        (_no_reason, "stem: 'keep' must be a reason in words"),
        (_impossible, "depthwise cannot be replaced: depthwise"),
    ],
)
def test_a_wrong_entry_is_named(plan, change, message):
    with pytest.raises(GhostifyError, match=message):
        Plan.from_json(edited(plan, lambda data: change(data["layers"])))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON: .*line 1"),
        ("[]", "not a plan"),
        ('{"format": "ghostify-plan/99", "layers": {}}', "not a plan"),
        ('{"format": "ghostify-plan/1"}', "not a plan"),
        ('{"format": "ghostify-plan/1", "layers": {"a": {}, "a": {}}}', "'a' stands in it twice"),
    ],
)
def test_what_is_no_plan_is_refused(text, message):
    with pytest.raises(GhostifyError, match=message):
        Plan.from_json(text)


def test_a_site_with_an_obstacle_cannot_be_replaced(plan):
    site = replace(plan.decisions[1].site, ineligible="grouped convolution")
    with pytest.raises(GhostifyError, match="grouped"):
        Decision(site, ghost=GhostSpec())


def test_a_model_that_was_not_converted_has_no_plan(small_net):
    with pytest.raises(GhostifyError, match="SmallNet was not made by"):
        Plan.of(small_net)
