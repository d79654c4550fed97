from dataclasses import replace

import pytest
import torch

import ghostify
from ghostify import GhostifyError, Plan, RecoverySettings
from ghostify.nn import GhostModule
from ghostify.training.progressive import _groups
from ghostify.types import Decision, GhostSpec, Recovery, WidthSensitivity
from ghostify.types.progress import TrainingProgress

from .conftest import KEPT, images


@pytest.fixture
def plan(student):
    return Plan.of(student)


def test_all_layers_are_converted_and_each_stage_is_trained(teacher, student, plan, data):
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    recovered, recovery = ghostify.recover(
        teacher, student, data, epochs=1, stages=2, validation=data
    )
    assert Plan.of(recovered).replaced == plan.replaced
    assert all(isinstance(recovered.get_submodule(name), GhostModule) for name in plan.replaced)
    assert (recovery.steps, recovery.images) == (6, 6 * 16)
    assert [(record["stage"], record["epoch"]) for record in recovery.history] == [(1, 1), (2, 2)]
    assert recovery.original.agreement == 1
    given = ghostify.evaluate(student, data, teacher=teacher, progress=False)
    assert recovery.converted.kl == pytest.approx(given.kl, rel=1e-4)
    assert recovery.best_epoch == 2
    assert Recovery.find(recovered) == recovery
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.state_dict().items())


def test_the_student_as_given_is_returned_if_it_is_better(teacher, data):
    good = ghostify.convert(
        teacher, images(1), ratio=2, calibration=[batch for batch, _ in data], progress=False
    )
    recovered, recovery = ghostify.recover(
        teacher, good, data, epochs=1, stages=2, validation=data, optimizer="sgd", lr=1e-9,
        calibration=[torch.zeros(1, 3, 8, 8)],
    )  # fmt: skip
    assert recovery.history[-1]["score"]["top1"] < recovery.converted.top1
    assert recovery.best_epoch == 0
    assert recovery.recovered == recovery.converted
    weights = good.state_dict()
    assert all(torch.equal(weights[name], found) for name, found in recovered.state_dict().items())


def chain_plan(teacher, images):
    """``first`` loses channels that ``last`` reads, a Ghost module that loses some too."""
    ghosts = {"last": GhostSpec(1.5, 3)}
    return Plan(
        tuple(
            Decision(
                site,
                ghosts.get(site.name),
                None if site.name in ghosts else "kept",
                len(KEPT[site.name]) if site.name in KEPT else None,
                KEPT.get(site.name),
            )
            for site in ghostify.analyze(teacher, images)
        )
    )


@pytest.mark.parametrize("order", [("first", "last"), ("last", "first")])
def test_stages_drop_channels_that_other_stages_read(narrowed, order, monkeypatch):
    teacher, _ = narrowed
    batches = [images(16, seed) for seed in range(2)]
    plan = chain_plan(teacher, images(1))
    student = ghostify.convert(teacher, images(1), plan=plan, progress=False)
    monkeypatch.setattr(
        "ghostify.training.progressive._groups", lambda *_: [{name} for name in order]
    )
    recovered, recovery = ghostify.recover(
        teacher, student, batches, epochs=1, stages=2, lr=1e-3, feature_weight=1.0
    )
    assert {record["stage"] for record in recovery.history} == {1, 2}
    assert Plan.of(recovered) == Plan.of(student) == plan
    found = recovered.state_dict()
    assert all(found[name].shape == tensor.shape for name, tensor in student.state_dict().items())


@pytest.mark.parametrize("stages", [0, 9])
def test_there_is_a_layer_for_each_stage(teacher, student, data, stages):
    with pytest.raises(GhostifyError, match=rf"`stages` \(={stages}\) must be from 1 to 2"):
        ghostify.recover(teacher, student, data, stages=stages)


def test_what_only_stages_use_requires_them(teacher, student, data):
    with pytest.raises(GhostifyError, match="require `stages`"):
        ghostify.recover(teacher, student, data, calibration=data)


# In the second stage; between stages, of which the first had no better epoch.
@pytest.mark.parametrize(("batch", "lr"), [(16, 4e-3), (13, 1e-12)])
def test_interrupted_stages_continue_to_the_same_weights(
    teacher, student, data, tmp_path, interrupted, batch, lr
):
    batches, settings = list(data), RecoverySettings(epochs=2, lr=lr)

    def train(folder, batches=batches, resume=False, stages=2):
        records = []
        recovered, _ = ghostify.recover(
            teacher, student, batches, settings, stages=stages, validation=data, folder=folder,
            resume=resume, on_epoch=records.append,
        )  # fmt: skip
        return recovered.state_dict(), records

    whole, _ = train(tmp_path / "whole")
    # 1 batch for the example, 3 for calibration, 2 for scales and digest, 6 in the first stage, 2
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped", interrupted(batches, batch))
    with pytest.raises(GhostifyError, match="unfinished training"):
        train(tmp_path / "stopped")
    with pytest.raises(GhostifyError, match="pass `stages`"):
        train(tmp_path / "stopped", resume=True, stages=None)
    resumed, records = train(tmp_path / "stopped", resume=True)
    assert [(record["stage"], record["epoch"]) for record in records] == [(2, 1), (2, 2)]
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_training_without_stages_is_not_continued_in_stages(teacher, student, data, tmp_path):
    ghostify.recover(teacher, student, data, epochs=1, folder=tmp_path)
    with pytest.raises(GhostifyError, match="leave out `stages`"):
        ghostify.recover(teacher, student, data, stages=2, folder=tmp_path)


def test_a_given_sensitivity_orders_the_layers(teacher, plan):
    first, second = plan.replaced
    sensitivity = ghostify.sensitivity(teacher, torch.randn(1, 3, 8, 8))
    for least, most in [(first, second), (second, first)]:
        damages = {least: dict.fromkeys(plan.replaced.values(), 0.1),
                   most: dict.fromkeys(plan.replaced.values(), 0.2)}  # fmt: skip
        groups = _groups(plan, 2, replace(sensitivity, layers=damages))
        assert groups == [{least}, {most}]


def test_dropped_channels_count_in_the_order(narrowed):
    teacher, student = narrowed
    sensitivity = ghostify.sensitivity(teacher, images(1), progress=False)
    channels = {"first": 8, "last": 4}
    for least, most in [("first", "last"), ("last", "first")]:
        widths = {
            name: WidthSensitivity(tuple(range(number)), (increase,) * (number - 1))
            for name, increase in [(least, 0.1), (most, 0.2)]
            if (number := channels[name])
        }
        groups = _groups(Plan.of(student), 2, replace(sensitivity, widths=widths))
        assert groups == [{least}, {most}]


def test_conversions_and_trainings_report_to_one_callback(teacher, student, data, monkeypatch):
    monkeypatch.setattr("ghostify.training.trainer._SHOW_EVERY", 0)
    moments = []
    ghostify.recover(teacher, student, data, epochs=1, stages=2, progress=moments.append)
    training = [moment for moment in moments if isinstance(moment, TrainingProgress)]
    assert {moment.task for moment in moments} >= {"recovering", "converting"}
    assert [moment.stage for moment in training] == [1, 1, 1, 2, 2, 2]
    assert [moment.done for moment in training] == pytest.approx([100 * n / 6 for n in range(1, 7)])
    assert training[-1].detail.startswith("stage 2/2, epoch 1: loss ")
