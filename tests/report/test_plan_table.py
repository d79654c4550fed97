import pytest
from torch import nn

import ghostify
from ghostify import GhostSpec
from ghostify.report.formats import to_text
from ghostify.report.plan_table import list_plan
from ghostify.types import LayerLatencies, PlanCandidate, Score, Sensitivity, WidthSensitivity

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
    assert "Predicted KL (nats): 0.5, the sum over the changed layers." in shown


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


@pytest.mark.parametrize(
    ("score", "heading"),
    [
        (Score(8, kl=0.5, relative_error=0.1), "plan MACs KL (nats)"),
        (Score(8, relative_error=0.5), "plan MACs error"),
    ],
)
def test_what_plans_were_compared_by(planned, score, heading):
    shown = lines(planned, compared=[PlanCandidate("macs=0.5", False, 1000, score)])
    assert heading in shown
    assert "macs=0.5 1.00K 0.5 chosen" in shown


def test_nothing_is_replaced(image):
    model = nn.Sequential(nn.Conv2d(3, 4, 1))
    plan = ghostify.plan(model, image)
    assert lines(plan)[0] == "small: 0 of 1 convolutions to be replaced"


def test_a_plan_with_widths(pruned_plan):
    shown = lines(pruned_plan)
    assert shown[0] == "small: 1 of 5 convolutions to be replaced, 2 to be pruned"
    table = shown.index("Decisions")
    assert shown[table + 1] == "layers channels left of all MACs"
    assert shown[table + 3 : table + 8] == [
        "kept: first convolution (stem) 1 100% 3.4%",
        "kept: depthwise 1 100% 4.5%",
        "kept: excluded 1 100% 4.0%",
        "pruned 1 75% 16.0%",
        "s=2, d=3, pruned 1 62% 72.1%",
    ]
    assert any(line.startswith("MACs, convolutions 818.2K 332.5K") for line in shown)


def test_what_dropped_channels_save_elsewhere(pruned_plan):
    """24 channels of two parameters in a BatchNorm, 8 of five MACs in a linear layer."""
    totals = {"macs": 1_000_000, "params": 20_000}
    widths = {
        name: WidthSensitivity(tuple(range(n)), tuple(i / 64 for i in range(1, n)))
        for name, n in (("a", 64), ("b", 32))
    }
    found = Sensitivity(
        unit="KL (nats)", measured=True, totals=totals, layers={"a": {TWO: 1.6}}, widths=widths
    )
    shown = lines(pruned_plan, sensitivity=found)
    saved = 12784 - 5196
    assert f"MACs 1.000M {(1_000_000 - 64 * saved - 8 * 5) / 1000:.1f}K 1.94x" in shown
    assert f"parameters 20.00K {(20_000 - saved - 24 * 2) / 1000:.2f}K 1.62x" in shown
    # 24/64 + 1.6 + 8/64
    assert "Predicted KL (nats): 2.1, the sum over the changed layers." in shown
