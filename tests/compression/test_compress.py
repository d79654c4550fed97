"""Compression of a network that was trained on real digits."""

import os
import signal
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import ghostify
from ghostify import GhostifyError
from ghostify.compression import trial_runner
from ghostify.data import Data
from ghostify.io.atomic import TRAINING
from ghostify.training.checkpoint import has_checkpoint
from ghostify.training.trainer import Trainer
from ghostify.types import Recovery
from ghostify.types.errors import GhostifyWarning

pytest.importorskip("accelerate")
DIGITS = pytest.importorskip("sklearn.datasets").load_digits()
IMAGES = torch.tensor(DIGITS.images).float().view(-1, 1, 8, 8) / 16
LABELS = torch.tensor(DIGITS.target)


class StopError(Exception):
    pass


@pytest.fixture(scope="module", autouse=True)
def _clock():
    """Each trial takes 0.6 seconds, however busy the machine is; times are short."""
    ticks = count()
    with pytest.MonkeyPatch.context() as patch:
        fake = SimpleNamespace(perf_counter=lambda: 0.6 * next(ticks))
        patch.setattr(trial_runner, "time", fake)
        patch.setattr("ghostify.compression.compress._TIMING", 0.1)
        yield


def block(inputs, outputs):
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    head = nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10)
    model = nn.Sequential(block(1, 32), block(32, 32), block(32, 32), *head)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(150):
        chosen = torch.arange(64 * step, 64 * step + 64) % 1000
        optimizer.zero_grad()
        F.cross_entropy(model(IMAGES[chosen]), LABELS[chosen]).backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def data():
    training = DataLoader(TensorDataset(IMAGES[:1000], LABELS[:1000]), 50)
    held_out = DataLoader(TensorDataset(IMAGES[1000:], LABELS[1000:]), 100)
    return Data("digits", training, held_out, classes=10)


def accuracy(model, batches):
    with torch.no_grad():
        right = [(model(images).argmax(1) == labels).float() for images, labels in batches]
    return torch.cat(right).mean().item()


@pytest.fixture(scope="module")
def compressed(net, data, tmp_path_factory):
    """The folder, the network, what was found, and the trials as they came."""
    out, seen = tmp_path_factory.mktemp("compress") / "out", []
    small, found = ghostify.compress(
        net, data, out=out, max_drop=2, minutes=0.1, on_trial=seen.append
    )
    return out, small, found, seen


def test_the_smallest_network_within_the_drop(net, compressed):
    out, small, found, seen = compressed
    assert found.is_met
    assert found.best.drop <= 2
    assert seen == [found.original, *found.tried]
    within = [trial.macs for trial in found.tried if trial.drop <= 2]
    assert found.best.macs == min(within) < found.original.macs / 2
    assert any(trial.is_trained for trial in found.tried)
    saved = ghostify.load(out, net)
    for name, weight in small.state_dict().items():
        assert torch.equal(weight, saved.state_dict()[name])


def test_every_trial_is_kept_as_it_was_scored(net, compressed):
    out, _, found, _ = compressed
    names = [trial.name for trial in found.tried]
    assert len(set(names)) == len(names) > 2
    for trial in found.tried:
        kept = ghostify.load(out / "trials" / trial.name, net)
        assert sum(p.numel() for p in kept.parameters()) == trial.params
    assert not list((out / "trials").glob("*-training-*"))
    recovery = Recovery.find(kept)
    assert recovery is not None, "the last one is trained"
    assert (recovery.settings.lr, recovery.probe) == (1e-3, ()), "no probe of higher rates"


def test_what_is_reported_was_scored_on_images_that_chose_nothing(data, compressed):
    _, small, found, _ = compressed
    original, saved = (row.score for row in found.evaluation.rows.values())
    chosen, other = found.best.score.images, saved.images
    assert found.is_independent
    assert chosen + other == 797
    both = chosen * found.best.score.top1 + other * saved.top1
    assert both / 797 == pytest.approx(accuracy(small, data.validation), abs=1e-6)
    assert found.drop == pytest.approx(100 * (original.top1 - saved.top1))
    assert f"on {other} test images" in str(found)
    assert [m.runtime for m in found.timing.measurements] == ["eager", "eager"]


def test_the_page_has_the_trade_off(compressed):
    pytest.importorskip("jinja2")
    out, _, found, _ = compressed
    page = (out / "report.html").read_text(encoding="utf-8")
    assert 'id="trade-off"' in page
    assert "Totals of the convolutions only" not in page
    assert f"scored on {found.original.score.images} validation images" in page
    assert found.best.budget in page


def test_without_labels_a_wish_that_cannot_be_met_hands_over_the_nearest(net, tmp_path):
    images = list(IMAGES[:500].split(50))
    _, found = ghostify.compress(
        net, images, out=tmp_path / "out", max_drop=1e-9, minutes=0.02, outputs="values"
    )
    assert not found.is_met
    assert found.best.drop == min(trial.drop for trial in found.tried) > 0
    assert "No network was within 1e-09 points; this is the nearest." in str(found)
    assert not found.is_independent
    assert "images, which also chose it" in str(found)


def test_a_drop_of_less_than_an_image_warns(net, data, tmp_path):
    options = {"max_drop": 0.1, "minutes": 0.001}
    with pytest.warns(GhostifyWarning, match="less than one of the 39. validation images, 0.25"):
        ghostify.compress(net, data, out=tmp_path / "out", **options)


def test_resuming_with_other_preprocessing_is_refused(net, data, tmp_path):
    options = {"out": tmp_path / "out", "budget": "macs=0.5", "minutes": 0.001}
    ghostify.compress(net, data, **options)
    other = replace(data, preprocessing="mean 0, std 1")
    with pytest.raises(GhostifyError, match="another `data` .'digits, as the loader gives them"):
        ghostify.compress(net, other, resume=True, **options)


def test_a_given_budget_is_not_searched(net, data, tmp_path):
    _, found = ghostify.compress(net, data, out=tmp_path / "out", budget="macs=0.5", minutes=0.01)
    assert {trial.budget for trial in found.tried} == {"macs=0.5"}
    assert found.best.macs <= 0.505 * found.original.macs
    assert found.max_drop is None


@pytest.mark.slow
def test_the_fastest_network_of_a_runtime(net, data, tmp_path):
    options = {"out": tmp_path / "out", "runtime": "eager", "max_drop": 2, "minutes": 0.1}
    _, found = ghostify.compress(net, data, **options)
    assert found.best.budget.startswith("latency=")
    chosen = max((t for t in found.tried[:-1] if t.drop <= 2), key=lambda t: t.speedup)
    assert found.best.budget == chosen.budget
    assert found.original.speedup == 1
    assert f"{found.best.speedup:.2f}x" in str(found)
    assert set(found.plots()) == {"trade-off-macs", "trade-off-latency"}


@pytest.mark.slow
def test_the_fastest_network_of_a_runtime_is_exported_in_int8(net, data, tmp_path):
    pytest.importorskip("onnxruntime")
    _, found = ghostify.compress(
        net, data, out=tmp_path / "out", budget="macs=0.5", minutes=0.01, int8=True
    )
    assert found.runtime == "onnxruntime-int8"
    assert found.best.speedup > 0
    assert found.best.latency > 0
    assert (tmp_path / "out" / "model.onnx").is_file()
    assert found.exported.images == list(found.evaluation.rows.values())[-1].score.images
    original = found.evaluation.rows["original"].score
    assert found.drop == pytest.approx(100 * (original.top1 - found.exported.top1))
    assert set(found.plots()) == {"trade-off-macs", "trade-off-latency"}


def test_an_interrupted_compression_resumes(net, data, tmp_path, monkeypatch):
    seen = []

    def stop(trial):
        seen.append(trial)
        if len(seen) == 3:
            raise StopError

    options = {"out": tmp_path / "out", "max_drop": 2, "minutes": 0.1}
    with pytest.raises(StopError):
        ghostify.compress(net, data, on_trial=stop, **options)
    with pytest.raises(GhostifyError, match="unfinished compression: pass `resume`"):
        ghostify.compress(net, data, **options)
    before, seen[:] = tuple(seen), []
    monkeypatch.setattr(trial_runner, "sensitivity", None)  # was measured
    _, found = ghostify.compress(net, data, resume=True, on_trial=seen.append, **options)
    assert (found.original, *found.tried[:2]) == before
    assert seen == [found.original, *found.tried]
    _, more = ghostify.compress(
        net, data, resume=True, out=tmp_path / "out", max_drop=50, minutes=0.05
    )
    assert more.tried[: len(found.tried)] == found.tried
    assert more.best.share < min(trial.share for trial in found.tried)
    with pytest.raises(GhostifyError, match="another `model`"):
        ghostify.compress(nn.Sequential(net, nn.Flatten()), data, resume=True, **options)


def test_an_interrupted_training_resumes(net, data, tmp_path, monkeypatch):
    step = Trainer._step

    def interrupted(self, *arguments):
        step(self, *arguments)
        if self.state.position.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    options = {"out": tmp_path / "out", "budget": "macs=0.5", "minutes": 0.04}
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ghostify.compress(net, data, **options)
    (training,) = (tmp_path / "out" / "trials").glob("*-training-*")
    assert has_checkpoint(training / TRAINING)
    _, found = ghostify.compress(net, data, resume=True, **options)
    assert [trial.is_trained for trial in found.tried] == [False, True]
    assert not training.exists()


def test_a_model_on_another_device_stays_there(net, data, tmp_path):
    options = {"out": tmp_path / "out", "budget": "macs=0.5", "minutes": 0.001}
    small, _ = ghostify.compress(net, data, device="cpu:0", **options)
    assert next(small.parameters()).device == next(net.parameters()).device == torch.device("cpu")


def test_force_starts_again(net, data, tmp_path):
    options = {"out": tmp_path / "out", "budget": "macs=0.5", "minutes": 0.001}
    ghostify.compress(net, data, **options)
    with pytest.raises(GhostifyError, match="pass `force=True`"):
        ghostify.compress(net, data, **options)
    _, found = ghostify.compress(net, data, force=True, **options)
    assert len(found.tried) == 1


def test_a_budget_that_no_plan_meets_can_be_corrected(net, data, tmp_path):
    options = {"out": tmp_path / "out", "minutes": 0.001}
    with pytest.raises(GhostifyError, match="cannot be met"):
        ghostify.compress(net, data, budget="macs=0.001", **options)
    _, found = ghostify.compress(net, data, budget="macs=0.5", resume=True, **options)
    assert [trial.budget for trial in found.tried] == ["macs=0.5"]
    with pytest.raises(GhostifyError, match="another `budget`"):
        ghostify.compress(net, data, budget="macs=0.6", resume=True, **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": {"latency": 10}}, "a budget of latency needs `runtime`"),
        ({"max_drop": 0}, "`max_drop` .=0. must be above 0"),
        ({"minutes": 0}, "`minutes` .=0. must be above 0"),
        ({"max_drop": 1, "budget": "macs=0.5"}, "exclude each other"),
        ({"budget": "flops=0.5"}, "flops"),
        ({"budget": "macs=0.001"}, "cannot be met"),
        ({"runtime": "tensorflow"}, "unknown runtime"),
        ({"resume": True}, "no trials to resume"),
        ({"device": "nowhere"}, "`device` .='nowhere'. is not available"),
    ],
)
def test_what_cannot_be_done_is_said(net, data, tmp_path, arguments, message):
    with pytest.raises(GhostifyError, match=message):
        ghostify.compress(net, data, out=tmp_path / "out", **{"minutes": 0.01, **arguments})


def test_a_network_that_cannot_be_made_smaller_is_an_error(data, tmp_path):
    torch.manual_seed(0)
    pool = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    model = nn.Sequential(nn.Conv2d(1, 10, 3), nn.BatchNorm2d(10), *pool)
    with torch.no_grad():
        model(IMAGES[:100])
    with pytest.raises(GhostifyError, match="no plan costs less than the original"):
        ghostify.compress(model.eval(), data, out=tmp_path / "out", minutes=0.01)
