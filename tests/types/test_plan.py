import errno
import json
import os
import re
from dataclasses import replace

import pytest

import ghostify
from ghostify import GhostifyError, GhostSpec, Plan
from ghostify.planning import plan_sites
from ghostify.types import Decision, Region


@pytest.fixture
def plan(small_net, image):
    return plan_sites(ghostify.analyze(small_net, image))


def edited(plan, change):
    data = json.loads(plan.to_json())
    change(data)
    return json.dumps(data)


def test_json_round_trip(plan):
    assert Plan.from_json(plan.to_json()) == plan


def test_a_saved_plan_is_loaded(plan, tmp_path):
    path = tmp_path / "plan.json"
    path.write_text("old")
    plan.save(path)
    assert Plan.load(str(path)) == plan
    assert path.read_text(encoding="utf-8") == plan.to_json()
    assert list(tmp_path.iterdir()) == [path]


def test_a_plan_that_cannot_be_written_leaves_the_old_one(plan, tmp_path, monkeypatch):
    path = tmp_path / "plan.json"
    path.write_text("old")

    def fill_the_disk(_):
        raise OSError(errno.ENOSPC, "No space left")

    monkeypatch.setattr("os.fsync", fill_the_disk)
    with pytest.raises(OSError, match="No space left.*plan.json'$"):
        plan.save(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_plan_is_on_the_disk_before_it_takes_its_place(plan, tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr("os.fsync", lambda file: (done.append("fsync"), fsync(file)))
    monkeypatch.setattr("os.replace", lambda a, b: (done.append("replace"), replace(a, b)))
    plan.save(tmp_path / "plan.json")
    assert done == ["fsync", "replace"]


@pytest.mark.parametrize("ranges", ["0-99999,0-99999", ",".join(["0-9999"] * 11), "0-999999999"])
def test_channels_that_would_fill_the_memory(plan, ranges):
    data = plan.to_dict()
    data["layers"]["wide"] |= {"width": 2, "channels": ranges}
    with pytest.raises(GhostifyError, match="`channels` must be channels of one convolution"):
        Plan.from_dict(data)


def test_a_plan_that_cannot_be_loaded_is_named(tmp_path):
    path = tmp_path / "plan.json"
    with pytest.raises(OSError, match="plan.json"):
        Plan.load(path)
    for content in (b"{", b"\xff"):
        path.write_bytes(content)
        with pytest.raises(GhostifyError, match="plan.json: not JSON"):
            Plan.load(path)
    path.write_text("[]")
    with pytest.raises(GhostifyError, match="plan.json: invalid plan: `format` must be"):
        Plan.load(path)


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


def _misspelled(layer):
    layer["wide"]["ghost"]["ration"] = 2


def _text_for_a_layer(layer):
    layer["wide"] = "ghost"


def _no_geometry(layer):
    del layer["wide"]["geometry"]


def _no_groups(layer):
    layer["wide"]["geometry"]["groups"] = 0


def _half_a_channel(layer):
    layer["wide"]["geometry"]["in_channels"] = 1.5


def _no_reason(layer):
    layer["stem"]["keep"] = " "


def _impossible(layer):
    del layer["depthwise"]["keep"]
    layer["depthwise"]["ghost"] = {"ratio": 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_both, "layers['wide']: give either `ghost` or `keep`"),
        (_neither, "layers['wide']: give either `ghost` or `keep`"),
        (_even, "layers['wide'].ghost: `dw_size` (=4)"),
        (_not_a_number, "layers['wide'].ghost: `ratio` (=nan)"),
        (_misspelled, "layers['wide'].ghost: unknown key 'ration'; did you mean ratio?"),
        (_text_for_a_layer, "`layers['wide']` (='ghost') must be an object"),
        (_no_geometry, "layers['wide']: 'geometry' is missing"),
        (_no_groups, "`layers['wide'].geometry.groups` (=0) must be from 1 to 16777216"),
        (_half_a_channel, "`layers['wide'].geometry.in_channels` (=1.5) must be an integer"),
        (_no_reason, "layers['stem']: `keep` must be a reason in words"),
        (_impossible, "layers['depthwise']: depthwise cannot be replaced: depthwise"),
    ],
)
def test_a_wrong_entry_is_named(plan, change, message):
    with pytest.raises(GhostifyError, match=re.escape(f"invalid plan: {message}")):
        Plan.from_json(edited(plan, lambda data: change(data["layers"])))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON: .*line 1"),
        ("[]", "invalid plan: `format` must be 'ghostify-plan/1'"),
        ('{"format": "ghostify-plan/99", "layers": {}}', "invalid plan: `format` must be"),
        ('{"format": "ghostify-plan/1"}', "invalid plan: 'layers' is missing"),
        ('{"format": "ghostify-plan/1", "layers": {"a": {}, "a": {}}}', "'a' appears twice"),
    ],
)
def test_invalid_plans_are_rejected(text, message):
    with pytest.raises(GhostifyError, match=message):
        Plan.from_json(text)


def test_an_ineligible_site_cannot_be_replaced(plan):
    site = replace(plan.decisions[1].site, ineligible="grouped convolution")
    with pytest.raises(GhostifyError, match="grouped"):
        Decision(site, ghost=GhostSpec())


def test_a_model_that_was_not_converted_has_no_plan(small_net):
    with pytest.raises(GhostifyError, match="SmallNet is not a converted model"):
        Plan.of(small_net)


def test_keeping_some_convolutions(small_net, image):
    plan = ghostify.plan(small_net, image)
    kept = plan.keeping({"wide": "too wide", "stem": "not replaced anyway"})
    reasons = {d.site.name: d.keep for d in kept.decisions}
    assert reasons["wide"] == "too wide"
    assert reasons["stem"] == "first convolution (stem)"
    assert list(kept.replaced) == [name for name in plan.replaced if name != "wide"]


@pytest.fixture
def decision(plan):
    """On ``wide``, 16→32, whose maps a depthwise convolution passes on to ``project``."""
    region = Region(channelwise=("norm", "depthwise"), gates=("gate",), readers={"project": 2})
    wide = next(d for d in plan.decisions if d.site.name == "wide")
    return replace(wide, site=replace(wide.site, region=region, unprunable=None))


def test_readers_lose_the_inputs_of_each_dropped_channel(decision):
    plan = Plan((replace(decision, width=3, channels=(0, 5, 6)),))
    kept = (0, 5, 6)
    assert plan.kept_channels == dict.fromkeys(("wide", "norm", "depthwise", "gate"), kept)
    assert plan.kept_inputs == {"project": (0, 1, 10, 11, 12, 13)}
    assert Plan((replace(decision, width=3),)).kept_inputs == {}


def test_channels_of_two_conversions(decision):
    whole = decision.site
    first = Decision(whole, keep="kept by the budget", width=4, channels=(1, 3, 5, 7))
    narrow = replace(whole.narrowed(outputs=4), region=None, unprunable="a residual sum")
    later = replace(narrow, region=whole.region, unprunable=None)

    def both(one, other):
        return Plan((one,)).then(Plan((other,))).decisions

    ghosts = Decision(narrow, GhostSpec(2, 3))
    assert both(first, ghosts) == (replace(first, ghost=GhostSpec(2, 3), keep=None),)
    fewer = Decision(later, keep="enough", width=2, channels=(0, 2))
    assert both(first, fewer) == (replace(first, keep="enough", width=2, channels=(1, 5)),)
    one_by_one = Decision(whole, keep="full"), Decision(whole, GhostSpec(2, 3), None, 2, (0, 9))
    assert both(*one_by_one) == one_by_one[1:]
    assert both(ghosts, fewer) == (ghosts,)
    assert both(first, Decision(replace(narrow, name="other"), keep="full")) == (first,)
    elsewhere = Decision(replace(later, region=None, unprunable="read by a Ghost module"), keep="x")
    assert both(first, elsewhere) == (replace(first, keep="x"),)
    put_back = Decision(replace(later, region=None, unprunable="put back"), keep="put back")
    assert both(Decision(whole, keep="full"), put_back)[0].site.unprunable == "put back"


def test_readers_of_two_conversions_have_the_names_of_the_original(decision, plan):
    project = next(d for d in plan.decisions if d.site.name == "project")
    unknown = Decision(replace(decision.site, region=None), keep="full")
    ghost = Region(readers={"project.primary_conv.0": 1, "other.primary_conv.0": 1})
    later = Decision(replace(decision.site, region=ghost), keep="full", width=1, channels=(4,))
    (narrowed, _) = Plan((unknown, project)).then(Plan((later,))).decisions
    assert narrowed.site.region == Region(readers={"project": 1, "other.primary_conv.0": 1})
