import pytest
from torch import nn

import ghostify
from ghostify import GhostSpec
from ghostify.report.formats import to_text
from ghostify.report.plan_table import list_plan
from ghostify.types import LayerLatencies, PlanCandidate, Score, Sensitivity

TWO = GhostSpec(2, 3)


@pytest.fixture
def sites(small_net, image):
    return ghostify.analyze(small_net, image)


@pytest.fixture
def planned(sites):
    return ghostify.plan(sites, ratio=2)


def lines(*arguments, **keywords):
    text = to_text(list_plan(*arguments, model="small", **keywords))
    return [" ".join(line.split()) for line in text.splitlines()]


def test_decisions_and_costs(planned):
    shown = lines(planned)
    assert shown[0] == "small: 2 of 4 convolutions to be replaced"
    assert "kept: first convolution (stem) 1 22.6%" in shown
    assert "kept: depthwise 1 3.8%" in shown
    assert any(line.startswith("s=2, d=3 2 ") for line in shown)
    assert any(line.startswith("MACs, convolutions 489.5K") for line in shown)
    assert not any("Predicted" in line for line in shown)


def test_predictions(planned, sites):
    layers = {name: {TWO: 0.25} for name in planned.replaced}
    totals = {"macs": 1e6, "params": 1e5}
    found = Sensitivity(unit="KL (nats)", measured=True, totals=totals, layers=layers)
    times = {name: {None: 4.0, TWO: 3.0} for name in planned.replaced}
    shown = lines(
        planned, sensitivity=found, latencies=LayerLatencies("onnxruntime", 1, 10.0, times)
    )
    assert any(line.startswith("MACs 1.000M") for line in shown)
    assert "latency in onnxruntime, predicted 10 ms 8 ms 1.25x" in shown
    assert "Predicted KL (nats): 0.5, the sum over the replaced layers." in shown


def test_no_prediction_of_what_was_not_measured(planned):
    layers = {name: {GhostSpec(4, 3): 0.25} for name in planned.replaced}
    found = Sensitivity(unit="KL (nats)", measured=True, layers=layers)
    assert not any("Predicted" in line for line in lines(planned, sensitivity=found))


def test_plans_that_were_compared(planned):
    scores = [Score(8, kl=0.5), Score(8, kl=0.25), Score(8, kl=0.25)]
    names = ("macs=0.5", "macs=0.5, s up to 4", "macs=0.5, one s")
    compared = [
        PlanCandidate(name, False, 1000, score) for name, score in zip(names, scores, strict=True)
    ]
    shown = lines(planned, compared=compared)
    assert "Compared on 8 held-out images" in shown
    assert "macs=0.5 1.00K 0.5" in shown
    assert [line for line in shown if line.endswith("chosen")] == [
        "macs=0.5, s up to 4 1.00K 0.25 chosen"
    ]


def test_nothing_is_replaced(image):
    model = nn.Sequential(nn.Conv2d(3, 4, 1))
    plan = ghostify.plan(model, image)
    assert lines(plan)[0] == "small: 0 of 1 convolutions to be replaced"
