"""What is measured through an artifact is remembered in its folder, and the report shows it."""

import os
import warnings
from importlib.util import find_spec

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import ghostify
from ghostify import Artifact, GhostifyError, Plan
from ghostify.data import Data
from ghostify.report.timing import Timing
from ghostify.types import ModelSource, Sensitivity
from ghostify.types.errors import GhostifyWarning

from ..conftest import SmallNet


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
    assert "Latency: PyTorch" in page
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
    assert plan.changed
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


def test_an_int8_export(saved, again, image, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("jinja2", reason="pages are an extra")
    torch.save(torch.rand(30, *image.shape[1:]), tmp_path / "images.pt")
    saved.export(tmp_path / "ghost.onnx")
    exported = saved.export(
        tmp_path / "int8.onnx", int8=True, calibration=str(tmp_path / "images.pt")
    )
    found = {each["path"]: each for each in again.recorded("export")}
    assert set(found) == {"ghost.onnx", "int8.onnx"}
    assert found["int8.onnx"]["score"]["relative_error"] == exported.score.relative_error
    page = again.write_report().read_text()
    assert ">onnx INT8</th>" in page
    assert f"error {exported.score.relative_error:.2%}</td>" in page
    assert f"on 3 inputs and on {exported.inputs} held-out images (INT8)." in page


def contents(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def far(saved):
    """The artifact with a network that any training makes better."""
    saved.model.head.weight.data *= 0.1
    return saved


@pytest.fixture
def data(image):
    return [torch.rand(8, *image.shape[1:]) for _ in range(4)]


TRAINING = {"epochs": 5, "lr": 0.01, "patience": None}


def test_recovery_makes_a_new_artifact(far, small_net, image, data):
    saved = far
    saved.benchmark(runtime="eager", seconds=0)
    saved.evaluate(data, device="cpu")
    before = contents(saved.path)
    new, recovery, evaluation = saved.recover(data, **TRAINING, validation=data)
    assert recovery.best_epoch
    assert contents(saved.path) == before
    assert new.path == saved.path.with_name("out-recovered")
    assert list(evaluation.rows) == ["original", "converted", "recovered"]
    assert (saved.stage, new.stage) == ("converted", "recovered")
    assert new.recorded("timing") == saved.recorded("timing")
    assert not list((new.path / "recovery").glob("checkpoint-*"))
    loaded = ghostify.load(new, small_net).state_dict()
    assert all(torch.equal(loaded[name], t) for name, t in new.model.state_dict().items())
    again = Artifact(new.path, small_net, example=image)
    assert list(again.evaluate(data, device="cpu").rows) == ["original", "converted", "recovered"]
    with pytest.raises(GhostifyError, match=r"out-recovered exists: pass `force=True`"):
        saved.recover(data)
    with pytest.raises(GhostifyError, match="`out` .* is the artifact itself"):
        saved.recover(data, out=saved.path, force=True)


def test_one_recovery_at_a_time_until_it_is_saved(far, data, monkeypatch):
    tried = []

    def another(*_):
        for resume in (False, True):
            with pytest.raises(GhostifyError, match="another training is in .*out-recovered: wait"):
                far.recover(data, **TRAINING, validation=data, resume=resume, force=True)
            tried.append(resume)

    monkeypatch.setattr("ghostify.artifact.artifact.remove_checkpoints", another)
    far.recover(data, **TRAINING, validation=data, on_epoch=another)
    assert len(tried) == 2 * (TRAINING["epochs"] + 1)


def test_a_second_recovery_is_named_so(far, data):
    first, _, _ = far.recover(data, **TRAINING, validation=data)
    first.model.head.weight.data *= 0.1
    second, _, evaluation = first.recover(data, **TRAINING, validation=data)
    assert second.path.name == "out-recovered-2"
    assert list(evaluation.rows) == ["original", "converted", "recovered", "recovered 2"]
    assert second.stage == Artifact(second.path).stage == "recovered 2"


def test_nothing_is_written_if_no_epoch_is_better(saved, image):
    images = [torch.rand(8, *image.shape[1:])]
    new, recovery, evaluation = saved.recover(
        images, epochs=1, lr=1e-12, optimizer="sgd", validation=images
    )
    assert (new, recovery.best_epoch) == (saved, 0)
    assert list(evaluation.rows) == ["original", "converted"]
    assert [file.name for file in saved.path.parent.iterdir()] == ["out"]


def test_a_folder_to_make_is_checked_before_training(saved, image, monkeypatch):
    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    monkeypatch.setattr("ghostify.artifact.artifact.recover", None)
    monkeypatch.setattr("ghostify.artifact.artifact.recalibrate", None)
    for work in (saved.recover, saved.recalibrate):
        with pytest.raises(GhostifyError, match="cannot write .*: the file system is read-only"):
            work([torch.rand(8, *image.shape[1:])])


def test_statistics_are_saved_if_they_are_no_worse(saved, small_net, image):
    before = contents(saved.path)
    calibration = torch.rand(32, *image.shape[1:])
    data = Data("noise", DataLoader(calibration, 8), DataLoader(calibration, 8))
    new, evaluation = saved.recalibrate(data, device="cpu", keep_worse=True)
    assert (new.path.name, new.stage) == ("out-recalibrated", "recalibrated")
    assert list(evaluation.rows) == ["converted", "recalibrated"]
    assert {file: before[file] for file in before} == {
        file: content for file, content in contents(saved.path).items() if file in before
    }
    noise = DataLoader(100 * torch.rand(4, *image.shape[1:]))
    found, _ = saved.recalibrate(Data("noise", noise, DataLoader(calibration)), out="no")
    assert found is saved


def test_a_folder_that_cannot_be_written_costs_no_measurement(saved, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr("ghostify.artifact.artifact.record", refuse)
    with pytest.warns(GhostifyWarning, match=r"out does not remember the \w+: .*no space"):
        assert saved.benchmark(seconds=0).measurements
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.undo()
        saved.benchmark(seconds=0)


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e5m2], ids=str
)
def test_weights_of_another_type_run_in_the_originals(small_net, image, data, tmp_path, dtype):
    small_net.eval()
    ghost = ghostify.convert(small_net, image).eval().to(dtype)
    name = str(dtype).removeprefix("torch.")
    with pytest.warns(GhostifyWarning, match=f"out holds {name} weights: it is run in float32"):
        saved = ghostify.save(ghost, tmp_path / "out", original=small_net, example=image)
    assert ghost.head.weight.dtype == dtype
    assert next(ghostify.load(saved, small_net).parameters()).dtype == dtype
    again = Artifact(saved.path, small_net, example=image)
    with pytest.warns(GhostifyWarning, match="it is run in float32"):
        assert torch.equal(again.model.head.weight, ghost.head.weight.float())
    for artifact in (saved, again):
        assert artifact.evaluate(data, device="cpu").rows["converted"].score.relative_error
    assert again.export(tmp_path / f"{name}.pt2").max_relative_error < 1e-4
    again.recalibrate(data, device="cpu", keep_worse=True)
    _, recovery, _ = again.recover(data, epochs=1, lr=0.001, validation=data)
    assert recovery.steps == len(data)


def test_an_original_in_half_precision_keeps_its_type(small_net, image, tmp_path, recwarn):
    """Nothing is said of mixed types that the original has as well."""
    original = small_net.eval()
    ghost = ghostify.convert(original, image).eval()
    for network in (original, ghost):
        network.head.double()
    saved = ghostify.save(ghost, tmp_path / "out", original=original)
    assert saved.model is ghost
    assert Artifact(saved, original).model.head.weight.dtype == torch.float64
    assert not [warning for warning in recwarn if warning.category is GhostifyWarning]


def test_names_that_are_not_utf8(small_net, image, tmp_path):
    """As on a disk whose files and folders were named on another system."""
    name = os.fsdecode(b"caf\xe9")
    torch.save(small_net.state_dict(), tmp_path / f"{name}.pt")
    ghost = ghostify.convert(small_net, image)
    source = ModelSource(f"{name}.py:build", {"label": name}, (3, 16, 16))
    saved = ghostify.save(
        ghost, tmp_path / name, source=source, weights=tmp_path / f"{name}.pt", original=small_net
    )
    data = Data(name, [image], DataLoader(torch.rand(4, *image.shape[1:])))
    assert saved.evaluate(data, device="cpu").data == name
    again = Artifact(saved.path, SmallNet())
    assert again.source == source
    assert [each["data"] for each in again.recorded("evaluation")] == [name]
    assert again.teacher
    if find_spec("jinja2"):
        assert "caf" in again.write_report().read_text()


@pytest.mark.parametrize("name", ["", "costs.json"])
def test_measurements_are_not_written_through_links(saved, tmp_path, name):
    """Whoever made the artifact may have linked them to files of its reader."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "costs.json").write_text("mine")
    inner = saved.path / "measurements" / name
    if name:
        inner.parent.mkdir()
    inner.symlink_to(theirs / name)
    before = contents(theirs)
    with pytest.warns(
        GhostifyWarning, match=r"does not remember the costs: .*: links in an artifact"
    ):
        saved.compare()
    assert contents(theirs) == before


@pytest.mark.parametrize("target", ["ghostify.json", "recovery", "measurements"])
def test_an_artifact_with_links_is_not_replaced(far, data, tmp_path, target):
    theirs = tmp_path / "theirs"
    (theirs / "checkpoint-1").mkdir(parents=True)
    (theirs / "checkpoint-1" / "a").write_text("mine")
    out = tmp_path / "out-recovered"
    out.mkdir()
    (out / "ghostify.json").touch()
    (out / target).unlink(missing_ok=True)
    (out / target).symlink_to(theirs / "checkpoint-1" / "a" if "." in target else theirs)
    before = contents(theirs)
    with pytest.raises(OSError, match=f"links in an artifact .*{target}"):
        far.recover(data, **TRAINING, force=True)
    assert contents(theirs) == before


def test_the_page_is_not_written_through_a_link(saved, tmp_path):
    pytest.importorskip("jinja2", reason="pages are an extra")
    (tmp_path / "theirs.html").write_text("mine")
    (saved.path / "report.html").symlink_to(tmp_path / "theirs.html")
    with pytest.raises(OSError, match="links in an artifact"):
        saved.write_report()
    saved.write_report(saved.path / "report.html")  # said so
    assert (tmp_path / "theirs.html").read_text() != "mine"


def test_it_is_a_path(saved, small_net):
    assert repr(saved).startswith("Artifact(")
    assert saved.stage == "converted"
    assert Plan.of(ghostify.load(saved, small_net)) == Plan.of(saved.model)
    with pytest.raises(GhostifyError, match="stands on both sides"):
        saved.benchmark(against={saved.name: nn.Identity()})


def test_stages_follow_the_remembered_sensitivity(saved, data, monkeypatch):
    found = saved.sensitivity()
    given = []

    def stop(*_, **options):
        given.append(options["sensitivity"])
        raise KeyboardInterrupt

    monkeypatch.setattr("ghostify.artifact.artifact.recover", stop)
    for stages in (2, None):
        with pytest.raises(KeyboardInterrupt):
            saved.recover(data, stages=stages)
    assert given == [found, None]
