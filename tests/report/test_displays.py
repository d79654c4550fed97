"""Sites, plans, sensitivities and recoveries print as tables, and show in notebooks."""

import pickle
from xml.etree import ElementTree as ET

import pytest

import ghostify
from ghostify import GhostSpec
from ghostify.types import Recovery, RecoverySettings, Score, Sensitivity, Sites, WidthSensitivity
from ghostify.types.displayed import Displayed

EVIL = "<script>alert('x')</script>&"
SENSITIVITY = Sensitivity(
    unit="loss",
    measured=True,
    layers={EVIL: {GhostSpec(1.5): 0.1, GhostSpec(2): 0.5}, "b": {GhostSpec(1.5): 0.2}},
    widths={"c": WidthSensitivity((0, 1, 2, 3), (1.0, 2.0, 3.0))},
)


def record(number, top1):
    return {"epoch": number, "loss": 1 / number, "score": {"images": 9, "top1": top1}}


RECOVERY = Recovery(
    RecoverySettings(), 20, 640, 7.0, "epochs", original=Score(9, top1=0.9),
    converted=Score(9, top1=0.5), recovered=Score(9, top1=0.8), best_epoch=2,
    history=(record(1, 0.7), record(2, 0.8)),
)  # fmt: skip


def elements(data):
    """All elements of the notebook's HTML, which is well-formed XML but for its line breaks."""
    return list(ET.fromstring(data._repr_html_().replace("<br>", "<br/>")).iter())


def bars(data):
    """The roles of the rectangles that are no areas for tooltips."""
    found = [e.get("class") for e in elements(data) if e.tag == "rect"]
    return [role for role in found if role != "hit"]


def test_sites(sites):
    text = str(sites)
    assert text.startswith("SmallNet\n\nConvolutions: 4, of which replaceable: 3, prunable: 1\n")
    assert bars(sites) == ["intrinsic", "intrinsic", "dense", "intrinsic"]
    assert "| wide" in sites.to_markdown() == sites._repr_markdown_()
    assert sites.to_csv().splitlines()[2].startswith("wide,Conv2d,")


def test_sites_are_a_tuple(sites):
    assert isinstance(sites, tuple)
    assert sites == tuple(sites)
    again = pickle.loads(pickle.dumps(sites))
    assert (type(again), again) == (Sites, sites)


def test_no_sites():
    assert "Convolutions: 0" in str(Sites())
    assert elements(Sites())


def test_a_plan(pruned_plan):
    assert str(pruned_plan).startswith("1 of 5 convolutions to be replaced, 2 to be pruned")
    roles = bars(pruned_plan)
    assert [role for role in roles if role != "dense"] == [
        "dropped", "ghosts", "intrinsic", "dropped", "dropped", "dropped",
    ]  # fmt: skip
    assert elements(ghostify.Plan(()))


def test_the_plan_of_a_network_has_its_name(small_net, image):
    assert str(ghostify.plan(small_net, image)).startswith("SmallNet: 2 of 4 convolutions")


def test_a_sensitivity():
    text = str(SENSITIVITY)
    assert text.startswith("Sensitivity of each layer, loss\n\nLayers: 3; sensitivity by s, d, and")
    assert text.splitlines()[3].split() == ["layer", "1.5,", "3", "2,", "3", "3/4", "1/2", "1/4"]
    assert "MACs" not in text
    page = elements(SENSITIVITY)
    assert "script" not in {element.tag for element in page}
    by_ghost, by_channels = (e for e in page if e.tag == "svg")
    assert by_ghost.get("aria-label") == "Sensitivity of each layer to s=2, d=3"
    assert [e.text.splitlines() for e in by_ghost.iter("title")] == [
        [EVIL, "0.5"], ["b", "not measured"]
    ]  # fmt: skip
    channels = [e.text.splitlines()[1] for e in by_channels.iter("title")]
    assert channels == ["not measured", "not measured", "2"]
    assert SENSITIVITY.to_csv().splitlines()[-1] == "c,,,1,3.0"


def test_a_recovery():
    title = "Recovery: 2 epochs, 20 steps on 640 images, 7 s"
    assert str(RECOVERY).startswith(f"{title}\n\nScores on 9 images\n")
    score, loss = (e for e in elements(RECOVERY) if e.tag == "svg")
    assert (score.get("aria-label"), loss.get("aria-label")) == ("Top-1 accuracy", "Loss")
    captions = [e.text for e in elements(RECOVERY) if e.tag == "p" and e.text]
    assert any(c.startswith("Top-1 accuracy by epoch: this network (purple), ") for c in captions)
    empty = Recovery(RecoverySettings(), 0, 0, 0.0, "epochs")
    assert str(empty) == "Recovery: 0 epochs, 0 steps on 0 images, 0 s"
    assert elements(empty)


@pytest.mark.parametrize("data", [SENSITIVITY, RECOVERY])
def test_repr_names_the_fields(data):
    assert repr(data).startswith(f"{type(data).__name__}(")


def test_every_displayed_type_has_a_display():
    from ghostify.report.displays import DISPLAYS

    names = {cls.__name__ for cls in Displayed.__subclasses__()}
    assert {cls.__name__ for cls in DISPLAYS} == names
