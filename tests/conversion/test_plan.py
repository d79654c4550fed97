"""`ghostify.plan` measures what a plan needs, and `convert` takes the same arguments."""

import pytest
import torch

import ghostify
from ghostify import GhostifyError, GhostSpec, Plan
from ghostify.types import Sensitivity

ARGUMENTS = [
    {"ratio": 4, "dw_size": 1},
    {"exclude": ["wide"]},
    {"include": "wide"},
    {"stem": True},
    {"budget": "macs=0.7"},
    {"budget": {"macs": 0.8}, "exclude": "wide", "stem": True},
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_convert_plans_by_the_same_arguments(small_net, image, arguments):
    plan = ghostify.plan(small_net, image, **arguments)
    assert plan.replaced
    assert Plan.of(ghostify.convert(small_net, image, **arguments)) == plan


def test_a_model_is_planned_as_its_sites_are(small_net, image):
    sites = ghostify.analyze(small_net, image)
    assert ghostify.plan(small_net, image, ratio=3) == ghostify.plan(sites, ratio=3)


def test_the_sensitivity_is_measured_on_the_calibration_images(small_net, image):
    images = torch.rand(16, *image.shape[1:])
    measured = ghostify.sensitivity(small_net, image, calibration=images)
    plan = ghostify.plan(small_net, image, budget="macs=0.7", sensitivity=measured)
    assert ghostify.plan(small_net, image, budget="macs=0.7", calibration=images) == plan
    converted = ghostify.convert(small_net, image, budget="macs=0.7", calibration=images)
    assert Sensitivity.find(converted) == measured


def test_what_is_not_faster_in_a_runtime_stays(small_net, image, monkeypatch):
    def layer_latency(model, example, *, runtime, threads, candidates, progress):
        assert (runtime, threads, list(candidates)) == ("eager", 2, [GhostSpec(2, 3)])
        times = {"wide": (1.0, 2.0), "project": (2.0, 1.0)}
        return ghostify.types.LayerLatencies(
            runtime, threads, 3.0,
            {name: {None: dense, GhostSpec(2, 3): ghost} for name, (dense, ghost) in times.items()},
        )  # fmt: skip

    monkeypatch.setattr("ghostify.conversion.plan.layer_latency", layer_latency)
    plan = ghostify.plan(small_net, image, runtime="eager", threads=2)
    assert list(plan.replaced) == ["project"]


def test_sites_alone_cannot_be_measured(small_net, image):
    sites = ghostify.analyze(small_net, image)
    with pytest.raises(GhostifyError, match="need a model to measure"):
        ghostify.plan(sites, runtime="eager")
    with pytest.raises(GhostifyError, match="plan needs `example`"):
        ghostify.plan(small_net)
    with pytest.raises(GhostifyError, match="`model` is an OrderedDict, such as a state dict"):
        ghostify.plan(small_net.state_dict(), image)
