import json
import re

import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError
from ghostify.planning import plan_sites
from ghostify.types import Fidelity, Score

FIDELITY = Fidelity(
    init="calibrated",
    residuals={"wide": 0.125, "project": 0.0},
    images=52,
    score=Score(12, agreement=0.75, kl=0.5, relative_error=0.25),
    notes=("few images",),
)


@pytest.mark.parametrize("fidelity", [FIDELITY, Fidelity("random")])
def test_json_round_trip(fidelity):
    assert Fidelity.from_dict(json.loads(json.dumps(fidelity.to_dict()))) == fidelity


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"residuals": [0.5]}, "`residuals` (=[0.5]) must be an object"),
        ({"residuals": {"wide": "much"}}, "`residuals['wide']` (='much') must be a number"),
        ({"residuals": {"wide": None}}, "`residuals['wide']` (=None) must be a number"),
        ({"score": [1, 2]}, "`score` (=[1, 2]) must be an object"),
        ({"score": {"pictures": 3}}, "score: unknown key 'pictures'"),
        ({"score": {"kl": 3}}, "score: 'images' is missing"),
        ({"notes": None}, "`notes` (=None) must be a list"),
        ({"loss": 0.5}, "unknown key 'loss'"),
    ],
)
def test_broken_data(change, message):
    with pytest.raises(GhostifyError, match=re.escape(f"invalid fidelity: {message}")):
        Fidelity.from_dict(FIDELITY.to_dict() | change)


@pytest.mark.parametrize("data", ["calibrated", 3, ["init"], {}])
def test_other_data(data):
    with pytest.raises(GhostifyError, match="invalid fidelity"):
        Fidelity.from_dict(data)


def test_attached_to_a_model():
    model = nn.Identity()
    assert Fidelity.find(model) is None
    FIDELITY.attach(model)
    assert Fidelity.find(model) is FIDELITY


def test_saved_in_an_artifact(small_net, image, tmp_path):
    converted = ghostify.convert(
        small_net, image, calibration=torch.randn(20, 3, 16, 16), outputs="classes"
    )
    loaded = ghostify.load(ghostify.save(converted, tmp_path / "out"), small_net)
    assert Fidelity.find(loaded) == Fidelity.find(converted)
    assert set(Fidelity.find(loaded).residuals) == {"wide", "project"}
    texts = [str(ghostify.compare(small_net, model, image)) for model in (converted, loaded)]
    assert texts[0] == texts[1]
    assert "KL divergence" in texts[0]


def test_a_second_conversion_removes_the_record_of_the_first(small_net, image):
    sites = ghostify.analyze(small_net, image)
    data = torch.randn(20, 3, 16, 16)
    first = ghostify.convert(
        small_net, image, plan=plan_sites(sites, include="wide"), calibration=data
    )
    rest = plan_sites(ghostify.analyze(first, image), include="project")
    assert Fidelity.find(ghostify.convert(first, image, plan=rest, init="weights")).images == 0
    first.norm.running_mean.zero_()  # as before any training
    assert Fidelity.find(ghostify.convert(first, image, plan=rest)) is None
    assert Fidelity.find(first).images == 16


def test_the_better_of_two():
    assert Score(1, top1=0.9, kl=9.0).selection_score > Score(1, top1=0.8, kl=0.0).selection_score
    assert (
        Score(1, agreement=0.5, kl=0.1).selection_score
        > Score(1, agreement=0.9, kl=0.2).selection_score
    )
    assert (
        Score(1, relative_error=0.1).selection_score > Score(1, relative_error=0.2).selection_score
    )
    with pytest.raises(GhostifyError, match="needs labels or a teacher"):
        _ = Score(1).selection_score


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (Score(1, top1=0.9, kl=9.0), Score(1, top1=0.8, kl=0.0)),
        (Score(1, top1=0.9, kl=0.1), Score(1, top1=0.9, kl=0.2)),
        (Score(1, top1=0.9, loss=0.1), Score(1, top1=0.9, loss=0.2)),
        (Score(1, mean_iou=0.5, accuracy=0.1), Score(1, mean_iou=0.4, accuracy=0.9)),
        (Score(1, mean_ap=0.5), Score(1, mean_ap=0.4)),
        (Score(1, mae=0.5, r2=0.1), Score(1, mae=0.6, r2=0.9)),
        (Score(1, mae=0.5, relative_error=0.1), Score(1, mae=0.5, relative_error=0.2)),
        (Score(1, relative_error=0.1), Score(1, relative_error=0.2)),
        (Score(1, kl=5.0), Score(1, kl=float("nan"))),
        (Score(1, top1=0.5, kl=5.0), Score(1, top1=0.5, kl=float("nan"))),
    ],
)
def test_ties_go_to_the_lower_divergence(better, worse):
    assert better.better_than(worse)
    assert not worse.better_than(better)
    assert not better.better_than(better)


@pytest.mark.parametrize(
    ("own", "original", "points"),
    [
        (Score(9, top1=0.8, agreement=0.1), Score(9, top1=0.9, agreement=1.0), 10),
        (Score(9, top1=0.9), Score(9, top1=0.8), -10),
        (Score(9, mean_iou=0.5), Score(9, mean_iou=0.51), 1),
        (Score(9, mean_ap=0.5), Score(9, mean_ap=0.51), 1),
        (Score(9, mae=9.0, r2=0.5), Score(9, mae=1.0, r2=0.75), 25),
        (Score(9, agreement=0.98, kl=0.3), Score(9, agreement=1.0, kl=0.0), 2),
        (Score(9, teacher_r2=0.99, relative_error=0.5), Score(9, teacher_r2=1.0), 1),
        (Score(9, relative_error=0.03), Score(9, relative_error=0.0), 3),
    ],
)
def test_the_drop_in_points(own, original, points):
    assert own.drop_from(original) == pytest.approx(points)


def test_a_drop_is_not_larger_by_rounding():
    assert Score(200, top1=179 / 200).drop_from(Score(200, top1=180 / 200)) == 0.5


def test_a_drop_needs_a_metric():
    with pytest.raises(GhostifyError, match="needs labels or a teacher"):
        Score(9, loss=1.0).drop_from(Score(9, loss=0.5))


def test_the_standard_error_of_a_loss():
    """The networks disagree on 4 of 100 images: at most one is right, so the variance is 0.04."""
    assert Score(100, agreement=0.96).standard_error == pytest.approx(100 * (5 / 102 / 100) ** 0.5)
    assert Score(100, agreement=1.0).standard_error == pytest.approx(100 * (1 / 102 / 100) ** 0.5)
    assert Score(100, top1=0.96).standard_error is None
    assert Score(100, agreement=0.96, mean_iou=0.9).standard_error is None
    assert Score(100, agreement=0.96, mean_ap=0.9).standard_error is None
