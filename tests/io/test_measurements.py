"""Measurements of an artifact."""

import json

import pytest
import torch

import ghostify
from ghostify import GhostifyError, GhostSpec
from ghostify.io.atomic import MEASUREMENTS
from ghostify.io.checksummed_json import checksummed
from ghostify.io.measurements import KINDS, record, recorded
from ghostify.io.recipe import read_recipe


@pytest.fixture
def path(small_net, image, tmp_path):
    return ghostify.save(ghostify.convert(small_net, image), tmp_path / "out").path


def test_what_was_recorded(path):
    assert recorded(path, "timing") == []
    record(path, "timing", {"ms": 2.5}, part="openvino-b1-t1")
    record(path, "timing", {"ms": 3}, part="eager-b1-t1")
    record(path, "timing", {"ms": 2}, part="openvino-b1-t1")
    record(path, "costs", {"model": "mäh"})
    assert recorded(path, "timing") == [{"ms": 3}, {"ms": 2}]
    assert recorded(path, "costs") == [{"model": "mäh"}]
    assert sorted(file.name for file in (path / MEASUREMENTS).iterdir()) == [
        "costs.json", "timing-eager-b1-t1.json", "timing-openvino-b1-t1.json"
    ]  # fmt: skip


def test_parts_with_any_letters_stay_apart(path):
    for part in ("macs=0.5", "macs/0.5", "../up"):
        record(path, "plan-candidate", {"plan": part}, part=part)
    found = [data["plan"] for data in recorded(path, "plan-candidate")]
    assert sorted(found) == ["../up", "macs/0.5", "macs=0.5"]
    assert len(list((path / MEASUREMENTS).iterdir())) == 3


def test_an_artifact_with_its_measurements_still_loads(path, small_net, image):
    record(path, "costs", {})
    ghostify.load(path, small_net)


def kinds_that_hold(path):
    return {kind for kind in KINDS if recorded(path, kind)}


def test_it_holds_as_long_as_what_was_measured(path, small_net, image):
    for kind in KINDS:
        record(path, kind, {"kind": kind})
    assert kinds_that_hold(path) == set(KINDS)

    trained = ghostify.load(path, small_net)
    torch.nn.init.normal_(trained.head.weight)
    ghostify.save(trained, path, force=True)
    assert kinds_that_hold(path) == set(KINDS) - {
        "compression",
        "evaluation",
        "export",
        "feature-maps",
    }

    ghostify.save(ghostify.convert(small_net, image, ratio=4), path, force=True)
    assert kinds_that_hold(path) == {"sensitivity", "plan-candidate"}

    small_net.head.bias.data += 1
    ghostify.save(ghostify.convert(small_net, image, ratio=2), path, force=True)
    assert kinds_that_hold(path) == {"costs", "timing"}

    other = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, 8, 3))
    ghostify.save(ghostify.convert(other, image), path, force=True)
    assert kinds_that_hold(path) == set()


def test_costs_and_times_are_of_one_input_size_and_of_one_set_of_channels(
    path, small_net, image, narrowing_plan
):
    kinds = {"costs", "timing", "plan-candidate", "sensitivity"}
    for kind in KINDS:
        record(path, kind, {})
    larger = torch.randn(1, 3, 32, 32)
    ghostify.save(ghostify.convert(small_net, larger), path, force=True)
    assert not kinds_that_hold(path) & kinds

    ghostify.save(ghostify.convert(small_net, image), path, force=True)
    assert kinds_that_hold(path) == set(KINDS)

    plan = narrowing_plan(small_net, image, ghost=GhostSpec())
    ghostify.save(ghostify.convert(small_net, image, plan=plan), path, force=True)
    assert kinds_that_hold(path) & kinds == {"plan-candidate", "sensitivity"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged"),
        ("[]", "is damaged: invalid measurement: 'format' must be"),
        ('{"format": "other"}', "is damaged: invalid measurement: 'format' must be"),
    ],
)
def test_damage(path, text, message):
    record(path, "costs", {"params": 1})
    (path / MEASUREMENTS / "costs.json").write_text(text)
    with pytest.raises(GhostifyError, match=f"costs.json {message}"):
        recorded(path, "costs")


def test_a_number_that_was_changed(path):
    record(path, "costs", {"params": 1})
    file = path / MEASUREMENTS / "costs.json"
    file.write_text(file.read_text().replace('"params": 1', '"params": 2'))
    with pytest.raises(GhostifyError, match="costs.json is damaged: its checksum does not match"):
        recorded(path, "costs")


def test_a_folder_that_is_no_artifact(tmp_path):
    with pytest.raises(GhostifyError, match="not a ghostify artifact"):
        record(tmp_path, "costs", {})
    assert json.dumps(list(tmp_path.iterdir())) == "[]"


@pytest.mark.parametrize(
    "entries", [{}, {"of": 3}, {"of": "x", "when": "", "ghostify": "", "data": []}]
)
def test_entries_are_checked_in_a_file_with_a_right_checksum(path, entries):
    record(path, "costs", {"params": 1})
    text = checksummed({"format": "ghostify-measurement/1", **entries})
    (path / MEASUREMENTS / "costs.json").write_text(text)
    with pytest.raises(GhostifyError, match="costs.json is damaged: invalid measurement: "):
        recorded(path, "costs")


@pytest.mark.parametrize("plan", [{}, [], {"format": "ghostify-plan/1", "layers": {"wide": 3}}])
def test_a_recipe_without_layers(path, plan):
    recipe = read_recipe(path).to_dict() | {"plan": plan}
    (path / "ghostify.json").write_text(checksummed(recipe))
    with pytest.raises(GhostifyError, match="ghostify.json is damaged: invalid recipe: .*plan"):
        recorded(path, "costs")
