"""What is measured through an artifact is remembered in its folder, and the report shows it."""

import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import ghostify
from ghostify import Artifact, GhostifyError, Plan
from ghostify.data import Data
from ghostify.report.timing import Timing
from ghostify.types import Sensitivity
from ghostify.types.errors import GhostifyWarning


@pytest.fixture
def saved(small_net, image, tmp_path):
    ghost = ghostify.convert(small_net, image)
    return ghostify.save(ghost, tmp_path / "out", original=small_net, example=image)


@pytest.fixture
def again(saved, small_net, image):
    """The same folder, opened by somebody else."""
    return Artifact(saved.path, small_net, example=image)


def test_a_benchmark_is_in_the_report(saved, again):
    pytest.importorskip("jinja2", reason="pages are an extra")
    timing = saved.benchmark(runtime="eager", seconds=0)
    (found,) = again.recorded("timing")
    assert Timing.from_dict(found) == timing
    page = again.write_report().read_text()
    assert "eager" in page
    assert ghostify.write_report(saved).read_text() == page


def test_costs_and_a_page(saved, again):
    report = saved.compare()
    (costs,) = again.recorded("costs")
    assert costs == report.costs()


def test_the_sensitivity_that_convert_measured(small_net, image, tmp_path):
    ghost = ghostify.convert(small_net, image, budget="macs=0.7")
    artifact = ghostify.save(ghost, tmp_path / "out")
    (found,) = artifact.recorded("sensitivity")
    assert Sensitivity.from_dict(found) == Sensitivity.find(ghost)


def test_a_search(saved, again, image):
    images = torch.rand(16, *image.shape[1:])
    seen = []
    plan = saved.search(budget="macs=0.7", calibration=images, on_candidate=seen.append)
    assert plan.replaced
    assert len(again.recorded("plan-candidate")) == len(seen) > 1


def test_an_evaluation_beside_the_original(saved, again, image):
    images = [torch.rand(4, *image.shape[1:])]
    found = saved.evaluate(images, device="cpu")
    assert list(found.rows) == ["original", "converted"]
    assert found.rows["converted"].macs < found.rows["original"].macs
    assert again.recorded("evaluation")


def test_feature_maps(saved, again, image):
    saved.record_feature_maps(image)
    assert again.recorded("feature-maps")


def test_an_export(saved, again, tmp_path):
    exported = saved.export(tmp_path / "ghost.pt2")
    (found,) = again.recorded("export")
    assert (found["path"], found["size"]) == ("ghost.pt2", exported.size)


def test_recovery_updates_the_folder_only_if_it_is_better(saved, small_net, image):
    torch.manual_seed(0)
    images = [torch.rand(8, *image.shape[1:])]
    before = {name: t.clone() for name, t in saved.model.state_dict().items()}
    recovery, evaluation = saved.recover(images, epochs=1, lr=1e-12, validation=images)
    loaded = ghostify.load(saved, small_net).state_dict()
    changed = any(not torch.equal(before[name], loaded[name]) for name in before)
    assert changed == bool(recovery.best_epoch)
    assert ("recovered" in evaluation.rows) == changed
    assert not list((saved.path / "recovery").glob("checkpoint-*"))


def test_worse_statistics_are_not_saved(saved, image):
    before = {name: t.clone() for name, t in saved.model.state_dict().items()}
    noise = DataLoader(100 * torch.rand(4, *image.shape[1:]))
    data = Data("noise", noise, DataLoader(torch.rand(4, *image.shape[1:])))
    evaluation, updated = saved.recalibrate(data, device="cpu")
    after = ghostify.load(saved, saved.original).state_dict()
    assert list(evaluation.rows) == ["before", "after"]
    assert updated == any(not torch.equal(before[name], after[name]) for name in before)


def test_a_folder_that_cannot_be_written_costs_no_measurement(saved, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr("ghostify.artifact.artifact.record", refuse)
    with pytest.warns(GhostifyWarning, match="out does not remember it: no space"):
        assert saved.benchmark(seconds=0).measurements
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.undo()
        saved.benchmark(seconds=0)


def test_it_is_a_path(saved, small_net):
    assert repr(saved).startswith("Artifact(")
    assert saved.stage == "converted"
    assert Plan.of(ghostify.load(saved, small_net)) == Plan.of(saved.model)
    with pytest.raises(GhostifyError, match="stands on both sides"):
        saved.benchmark(against={saved.name: nn.Identity()})
