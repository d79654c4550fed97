import copy
import json
import re
import time

import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError, RecoverySettings
from ghostify.data import Data
from ghostify.data.split import hold_out, split
from ghostify.training.checkpoint import read_checkpoint
from ghostify.types import OriginalWeights, Score

from .conftest import Network, converted, loader, trained

TWO = RecoverySettings(epochs=2)


def state_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one) and one.keys() == other.keys()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"feature_weight": 1.0, "temperature": 4},
        {"layerwise_fraction": 1.0, "lr": 4e-3},
        {"layerwise_fraction": 0.5, "optimizer": "sgd", "ema_decay": 0.5},
        pytest.param(
            {"optimizer": "muon", "alpha": 0.5, "label_smoothing": 0.1},
            marks=pytest.mark.skipif(
                not hasattr(torch.optim, "Muon"), reason="requires PyTorch 2.9"
            ),
        ),
        {"freeze_bn": False, "alpha": 1.0, "lr": 1e-2},
        {"precision": "bf16", "channels_last": False},
    ],
    ids=str,
)
def test_the_student_comes_closer_to_its_teacher(teacher, student, data, settings):
    before = state_of(teacher), state_of(student)
    recovered, recovery = ghostify.recover(
        teacher, student, data, RecoverySettings(epochs=8, **settings)
    )
    with torch.no_grad():
        images = torch.cat([batch for batch, _ in data])
        errors = [
            (teacher(images) - network(images)).square().mean() for network in (student, recovered)
        ]
        assert errors[1] < 0.9 * errors[0]
    assert same(before[0], state_of(teacher))
    assert same(before[1], state_of(student))
    assert all(parameter.requires_grad for parameter in recovered.parameters())
    assert (recovery.steps, recovery.images, recovery.ended) == (24, 24 * 16, "epochs")
    assert len(recovery.history) == 8
    assert not recovered.training


@pytest.mark.parametrize("layerwise", [0.0, 0.5])
def test_frozen_parameters_are_trained_and_returned_frozen(teacher, student, data, layerwise):
    student = copy.deepcopy(student)
    student.last.requires_grad_(False)
    settings = RecoverySettings(epochs=2, lr=4e-3, layerwise_fraction=layerwise)
    found, recovery = ghostify.recover(teacher, student, data, settings)
    assert recovery.best_epoch
    for (name, new), old in zip(found.named_parameters(), student.parameters(), strict=True):
        assert new.requires_grad == old.requires_grad != name.startswith("last.")
    assert not torch.equal(found.last.primary_conv[0].weight, student.last.primary_conv[0].weight)


def test_without_labels(teacher, student, data):
    unlabeled = [batch for batch, _ in data]
    _, recovery = ghostify.recover(teacher, student, unlabeled, TWO, validation=unlabeled)
    assert recovery.recovered.selection_score > recovery.converted.selection_score
    assert recovery.recovered.top1 is None
    assert (recovery.original.agreement, recovery.original.relative_error) == (1, 0)


def test_outputs_of_any_structure(as_trained):
    class Segmenter(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3, padding=1)
            self.conv = nn.Conv2d(8, 8, 3, padding=1)
            self.unused = nn.Linear(3, 3)

        def forward(self, x):
            x = self.stem(x).relu()
            return {"out": self.conv(x).relu(), "number": 7, "aux": [self.conv(x), None]}

    teacher = as_trained(Segmenter()).eval()
    images = torch.randn(32, 3, 8, 8)
    student = ghostify.convert(teacher, images[:1], ratio=2)
    _, recovery = ghostify.recover(
        teacher, student, list(images.split(8)), TWO, validation=[images]
    )
    assert recovery.recovered.relative_error < recovery.converted.relative_error
    assert recovery.recovered.agreement is None


def recovered_detector(as_trained):
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn as detector

    teacher = detector(weights=None, weights_backbone=None, min_size=64, max_size=64).eval()
    teacher = as_trained(teacher)
    images = [[torch.rand(3, 64, 64)] for _ in range(4)]
    student = ghostify.convert(teacher, images[0], ratio=2)
    _, recovery = ghostify.recover(teacher, student, images, TWO)
    return recovery


def test_a_detector_learns_from_feature_maps(as_trained):
    recovery = recovered_detector(as_trained)
    first, second = (record["features"] for record in recovery.history)
    assert second < first


def test_another_teacher_needs_force(teacher, student, data):
    other = trained()
    other.head.weight.data *= 2
    with pytest.raises(GhostifyError, match="`teacher` has other weights .* `force=True`"):
        ghostify.recover(other, student, data, TWO)
    recovered, _ = ghostify.recover(other, student, data, TWO, epochs=1, force=True)
    assert OriginalWeights.find(recovered) == OriginalWeights.find(student)


def test_a_random_teacher_is_refused_always(student, data):
    for force in (False, True):
        with pytest.raises(GhostifyError, match="`teacher` appears to be randomly initialized"):
            ghostify.recover(Network(), student, data, TWO, force=force)


def test_a_conversion_of_a_random_network_has_no_teacher(data):
    student = converted(Network())
    with pytest.raises(GhostifyError, match="converted from a randomly initialized one"):
        ghostify.recover(trained(), student, data, TWO)


def test_the_best_weights_are_kept(teacher, student, data):
    settings = RecoverySettings(epochs=4, lr=1.0, optimizer="sgd")
    recovered, recovery = ghostify.recover(teacher, student, data, settings, validation=data)
    scores = [recovery.converted, *(Score(**record["score"]) for record in recovery.history)]
    best = max(scores, key=lambda score: score.selection_score)
    assert recovery.recovered == best == scores[recovery.best_epoch] != scores[-1]
    with torch.no_grad():
        right = sum(int((recovered(x).argmax(1) == labels).sum()) for x, labels in data)
    assert right / 48 == recovery.recovered.top1


def test_the_student_as_given_is_returned_if_no_epoch_is_better(teacher, student, data):
    settings = RecoverySettings(epochs=2, lr=1e-12)
    recovered, recovery = ghostify.recover(teacher, student, data, settings, validation=data)
    assert recovery.best_epoch == 0
    assert recovery.recovered == recovery.converted
    assert same(state_of(student), state_of(recovered))


def test_options_replace_settings(teacher, student, data):
    _, recovery = ghostify.recover(teacher, student, data, TWO, epochs=1, alpha=0.5)
    assert (len(recovery.history), recovery.settings.alpha) == (1, 0.5)
    with pytest.raises(GhostifyError, match="no setting `learning_rate`.* mean .*"):
        ghostify.recover(teacher, student, data, learning_rate=1)


def test_progress_says_how_far_a_training_is(teacher, student, data, monkeypatch):
    monkeypatch.setattr("ghostify.training.trainer._SHOW_EVERY", 0)
    moments = []
    ghostify.recover(
        teacher, student, data, TWO, lr=1e-3, layerwise_fraction=0.5, progress=moments.append
    )
    assert [moment.epoch for moment in moments] == [1, 1, 1, 2, 2, 2]
    assert [moment.phase for moment in moments] == ["layer-wise"] * 3 + ["end-to-end"] * 3
    assert [moment.score is None for moment in moments] == [True] * 3 + [False] * 3
    assert (moments[-1].done, moments[-1].total, moments[-1].seconds_left) == (100, 100, 0)
    assert all(moment.speed > 0 and moment.loss > 0 for moment in moments)
    assert re.fullmatch(r"epoch 2: loss \S+, accuracy [\d.]+%, \d+ img/s", moments[-1].detail)


def test_patience_ends_a_training_that_does_not_improve(teacher, student, data):
    settings = RecoverySettings(epochs=9, lr=1e-12, patience=2)
    _, recovery = ghostify.recover(teacher, student, data, settings, validation=data)
    assert (recovery.ended, len(recovery.history)) == ("patience", 2)


def test_minutes_end_within_an_epoch(teacher, student, data):
    _, recovery = ghostify.recover(
        teacher, student, data, RecoverySettings(minutes=0.2 / 60), progress=lambda _: None
    )
    assert recovery.ended == "minutes"
    assert recovery.seconds >= 0.2


def test_the_history_has_one_line_per_epoch(teacher, student, data, tmp_path):
    records = []
    _, recovery = ghostify.recover(
        teacher, student, data, TWO, folder=tmp_path / "new", on_epoch=records.append
    )
    lines = (tmp_path / "new" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == list(recovery.history) == records


def test_a_finished_training_resumes_to_its_result(teacher, student, data, tmp_path):
    first, recovery = ghostify.recover(teacher, student, data, TWO, folder=tmp_path)
    again, same_recovery = ghostify.recover(
        teacher, student, data, TWO, folder=tmp_path, resume=True
    )
    assert same(state_of(first), state_of(again))
    assert (same_recovery.steps, same_recovery.history) == (6, recovery.history)
    _, other = ghostify.recover(teacher, student, data, RecoverySettings(epochs=1), folder=tmp_path)
    assert other.steps == 3


def test_one_image_in_the_last_batch(teacher, student):
    images = torch.randn(17, 3, 8, 8)
    for freeze_bn in (True, False):
        settings = RecoverySettings(epochs=1, freeze_bn=freeze_bn)
        _, recovery = ghostify.recover(teacher, student, images.split(16), settings)
        assert recovery.steps == 1 + freeze_bn


@pytest.mark.parametrize("number", [3, 4, 5])
def test_an_interrupted_training_continues_to_the_same_weights(
    teacher, student, data, tmp_path, interrupted, number
):
    settings = RecoverySettings(
        epochs=3, layerwise_fraction=0.3, ema_decay=0.9, feature_weight=0.1, freeze_bn=False
    )
    batches = list(data)
    whole, expected = ghostify.recover(teacher, student, batches, settings, validation=batches)
    with pytest.raises(KeyboardInterrupt):
        ghostify.recover(
            teacher,
            student,
            interrupted(batches, number),
            settings,
            validation=batches,
            folder=tmp_path,
        )
    with pytest.raises(GhostifyError, match="unfinished training"):
        ghostify.recover(teacher, student, batches, settings, folder=tmp_path)
    resumed, found = ghostify.recover(
        teacher, student, batches, settings, validation=batches, folder=tmp_path, resume=True
    )
    assert same(state_of(resumed), state_of(whole))
    without_times = [
        [{key: value for key, value in record.items() if key != "seconds"} for record in history]
        for history in (expected.history, found.history)
    ]
    assert without_times[0] == without_times[1]


@pytest.mark.parametrize(("epochs", "number"), [(1, 5), (3, 5), (3, 11)])
def test_a_checkpoint_at_the_last_step_of_an_epoch_is_scored_when_it_is_resumed(
    teacher, student, data, tmp_path, interrupted, epochs, number
):
    batches, options = list(data), {"epochs": epochs, "lr": 4e-3, "validation": data}
    whole, expected = ghostify.recover(teacher, student, batches, **options)
    with pytest.raises(KeyboardInterrupt):  # after 2 batches that are only looked at
        ghostify.recover(teacher, student, interrupted(batches, number), folder=tmp_path, **options)
    position = read_checkpoint(tmp_path).position
    assert (position.step, position.batch) == (number - 2, 3)
    resumed, found = ghostify.recover(
        teacher, student, batches, folder=tmp_path, resume=True, **options
    )
    assert [record["score"] for record in found.history] == [
        record["score"] for record in expected.history
    ]
    assert found.best_epoch == expected.best_epoch > 0
    assert same(state_of(resumed), state_of(whole))


def test_an_epoch_whose_time_is_over_is_scored_when_it_is_resumed(
    teacher, student, data, tmp_path, interrupted
):
    settings = RecoverySettings(minutes=1e-6, lr=4e-3)  # over after one step
    batches = list(data)
    with pytest.raises(KeyboardInterrupt):
        ghostify.recover(
            teacher, student, interrupted(batches, 3), settings, validation=data, folder=tmp_path
        )
    _, recovery = ghostify.recover(
        teacher, student, batches, settings, validation=data, folder=tmp_path, resume=True
    )
    assert (recovery.ended, recovery.steps, len(recovery.history)) == ("minutes", 1, 1)
    assert recovery.recovered is not None


def test_a_loss_that_is_not_finite_leaves_the_last_checkpoint(teacher, student, data, tmp_path):
    batches = [batch for batch, _ in data]
    broken = [*batches[:2], batches[2].clone().fill_(float("nan"))]
    settings = RecoverySettings(epochs=2, checkpoint_minutes=0)
    with pytest.raises(GhostifyError, match=r"step 3: the images .* check the data.*step 2"):
        ghostify.recover(teacher, student, broken, settings, folder=tmp_path)
    _, recovery = ghostify.recover(
        teacher, student, batches, settings, folder=tmp_path, resume=True
    )
    assert recovery.steps == 6


def test_an_lr_that_is_too_high_is_named(teacher, student, data):
    settings = RecoverySettings(optimizer="sgd", lr=1e6, max_grad_norm=0)
    with pytest.raises(GhostifyError, match=r"`lr` \(=1e\+06\) is probably too high: try 250000"):
        ghostify.recover(teacher, student, data, settings)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "`data` is empty"),
        (iter([torch.zeros(2, 3, 8, 8)]), "must be a DataLoader or a list"),
        (7, r"`data` \(a int\)"),
        (torch.zeros(2, 3, 8, 8), "list of batches, of images or of pairs"),
        ((torch.zeros(2, 3, 8, 8), torch.zeros(2)), "list of batches, of images or of pairs"),
        (Data("all held out", [], [torch.zeros(2, 3, 8, 8)]), "`held_out` leaves no images"),
    ],
)
def test_invalid_data(teacher, student, data, message):
    with pytest.raises(GhostifyError, match=message):
        ghostify.recover(teacher, student, data)


def test_data_without_a_length_needs_minutes(teacher, student):
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(torch.randn(32, 3, 8, 8))

    stream = torch.utils.data.DataLoader(Stream(), batch_size=8)
    with pytest.raises(GhostifyError, match="pass `minutes`"):
        ghostify.recover(teacher, student, stream)
    _, recovery = ghostify.recover(teacher, student, stream, minutes=0.1 / 60)
    assert recovery.ended == "minutes"
    assert recovery.seconds >= 0.1


@pytest.mark.parametrize("settings", [{"feature_weight": 1.0}, {"layerwise_fraction": 0.3}])
def test_a_student_without_ghost_modules_has_no_feature_maps_to_compare(teacher, data, settings):
    with pytest.raises(GhostifyError, match="must be 0: no layer of the teacher is conv"):
        ghostify.recover(teacher, teacher, data, RecoverySettings(epochs=1, **settings))
    student, _ = ghostify.recover(teacher, teacher, data, RecoverySettings(epochs=1))
    assert type(student) is type(teacher)


def test_compiled_networks_learn_the_same(teacher, student, data, monkeypatch):
    backends = []

    def compile_quickly(network):
        backends.append(network)
        network._compiled_call_impl = torch.compile(network._call_impl, backend="aot_eager")

    monkeypatch.setattr(nn.Module, "compile", compile_quickly)
    batches = list(data)
    found = [
        ghostify.recover(
            teacher,
            student,
            batches,
            RecoverySettings(epochs=2, layerwise_fraction=0.3, compile=compiled),
            validation=batches,
        )
        for compiled in (False, True)
    ]
    assert len(backends) == 2
    for name, tensor in found[0][0].state_dict().items():
        torch.testing.assert_close(found[1][0].state_dict()[name], tensor, atol=1e-4, rtol=1e-3)


def test_compiled_networks_expose_no_feature_maps(teacher, data, as_trained):
    with pytest.raises(GhostifyError, match=r"`feature_weight` \(=1\) to be 0"):
        RecoverySettings(feature_weight=1.0, compile=True)
    network = as_trained(nn.Sequential(*list(teacher.children())[:2]))
    student = ghostify.convert(network, torch.randn(1, 3, 8, 8), ratio=2)
    with pytest.raises(GhostifyError, match="`compile` requires outputs that are classes"):
        ghostify.recover(network, student, data, RecoverySettings(compile=True))


def test_a_missing_accelerate_is_named(teacher, student, data, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "accelerate", None)
    with pytest.raises(GhostifyError, match=r"pip install '.\[train\]' in a clone"):
        ghostify.recover(teacher, student, data)


def test_a_device(teacher, student, data):
    with pytest.raises(GhostifyError, match=r"`device` \(='tpu9'\) is not available"):
        ghostify.recover(teacher, student, data, TWO, device="tpu9")
    _, recovery = ghostify.recover(teacher, student, data, TWO, epochs=1, device="cpu")
    assert recovery.steps


def test_processes_have_their_own_devices(teacher, student, data, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(GhostifyError, match="`device` .* is for one process"):
        ghostify.recover(teacher, student, data, TWO, device="cpu")


def test_a_part_of_the_training_data_is_held_out(teacher, student):
    batches = [batch for batch, _ in loader(teacher, 320)]
    recovered, recovery = ghostify.recover(teacher, student, batches, TWO)
    assert recovery.images == 2 * 288
    assert (recovery.selection.kind, recovery.selection.images) == ("held-out", 32)
    assert recovery.selection.others == 0
    held = [inputs for inputs, _ in hold_out(batches)[1]]
    score = ghostify.evaluate(recovered, held, teacher=teacher, progress=False)
    assert recovery.recovered.kl == pytest.approx(score.kl, rel=1e-4)


def test_weights_worse_than_those_given_are_not_handed_over_without_validation(teacher, student):
    settings = RecoverySettings(epochs=1, lr=1.0, optimizer="sgd")
    for number in (48, 320):
        unlabeled = [batch for batch, _ in loader(teacher, number)]
        recovered, recovery = ghostify.recover(teacher, student, unlabeled, settings)
        assert recovery.best_epoch == 0
        assert same(state_of(student), state_of(recovered))
        assert recovery.recovered == recovery.converted


def test_one_half_of_the_held_out_images_chooses_and_the_other_reports(teacher, student, data):
    validation = loader(teacher, 240)
    recovered, recovery = ghostify.recover(
        teacher, student, data, epochs=6, lr=4e-3, validation=validation
    )
    assert (recovery.selection.images, recovery.selection.others) == (120, 120)
    selecting, reporting = split(validation, 2)
    best = ghostify.evaluate(recovered, selecting, teacher=teacher, progress=False)
    reported = ghostify.evaluate(recovered, reporting, teacher=teacher, progress=False)
    given = ghostify.evaluate(student, reporting, teacher=teacher, progress=False)
    assert recovery.selection.best.kl == pytest.approx(best.kl, rel=1e-4)
    assert recovery.recovered.kl == pytest.approx(reported.kl, rel=1e-4)
    assert recovery.converted.kl == pytest.approx(given.kl)
    assert recovery.best_epoch
    assert recovery.notes()[-1].endswith(
        " of 6 kept: chosen on 120 validation images, scored on 120 others"
    )


def test_an_epoch_that_is_worse_on_the_other_images_is_rejected(
    teacher, student, data, monkeypatch, tmp_path
):
    monkeypatch.setattr("ghostify.training.trainer.is_worse", lambda score, other: True)
    validation = loader(teacher, 240)
    for resume in (False, True):
        recovered, recovery = ghostify.recover(
            teacher, student, data, TWO, lr=4e-3, validation=validation, folder=tmp_path,
            resume=resume,
        )  # fmt: skip
        assert (recovery.best_epoch, recovery.selection.rejected) == (0, 2)
        assert recovery.recovered == recovery.converted
        assert same(state_of(student), state_of(recovered))
    assert "epoch 2 was worse on other images" in recovery.notes()[-1]


def test_equal_scores_are_ordered_by_the_divergence(teacher, student, data):
    _, recovery = ghostify.recover(teacher, student, data, epochs=3, lr=1e-4, validation=data)
    assert {record["score"]["top1"] for record in recovery.history} == {recovery.converted.top1}
    assert recovery.best_epoch == 3
    assert recovery.recovered.kl < recovery.converted.kl


def test_a_collapse_goes_back_to_the_best_weights_with_a_lower_rate(teacher, student, data):
    settings = RecoverySettings(epochs=3, lr=1.0, optimizer="sgd", warmup=0)
    batches = [batch for batch, _ in data]
    _, recovery = ghostify.recover(teacher, student, batches, settings, validation=batches)
    assert [record["lr"] for record in recovery.history[:2]] == [1.0, 0.25]
    assert recovery.history[0]["back_to"] == 0
    assert recovery.notes()[0] == (
        "epoch 1 collapsed at lr 1: training went back to the start, with a quarter of the rate"
    )


def test_the_probe_is_recorded_and_changes_nothing_else(teacher, student):
    data = loader(teacher, 320)
    probed, recovery = ghostify.recover(teacher, student, data, epochs=6)
    tried = [entry["lr"] for entry in recovery.probe]
    assert tried[:2] == [0.0, 3e-3]
    assert recovery.settings.lr in tried
    assert recovery.notes()[0].startswith(f"lr {recovery.settings.lr:g}, the highest")
    given, same_rate = ghostify.recover(teacher, student, data, epochs=6, lr=recovery.settings.lr)
    assert same_rate.probe == ()
    assert same(state_of(probed), state_of(given))


def test_the_time_of_the_probe_counts(teacher, student):
    begin = time.monotonic()
    _, recovery = ghostify.recover(
        teacher, student, loader(teacher, 320), RecoverySettings(minutes=1 / 60)
    )
    assert recovery.probe
    assert time.monotonic() - begin >= recovery.seconds >= 1
    assert recovery.history[-1]["seconds"] < recovery.seconds


def test_progress_shows_the_probe(teacher, student):
    moments = []
    ghostify.recover(teacher, student, loader(teacher, 320), epochs=6, progress=moments.append)
    assert re.fullmatch(r"probing lr 0.003: step 1 of \d+, loss \S+", moments[0].detail)


@pytest.mark.parametrize("batch", [100, 130, 170])
def test_a_probed_training_resumes_to_the_same_weights(
    teacher, student, tmp_path, interrupted, batch
):
    batches = [(inputs, labels) for inputs, labels in loader(teacher, 320)]
    whole, expected = ghostify.recover(teacher, student, batches, epochs=5, ema_decay=0.5)
    with pytest.raises(KeyboardInterrupt):
        ghostify.recover(
            teacher, student, interrupted(batches, batch), epochs=5, ema_decay=0.5, folder=tmp_path
        )
    resumed, found = ghostify.recover(
        teacher, student, batches, epochs=5, ema_decay=0.5, folder=tmp_path, resume=True
    )
    assert same(state_of(resumed), state_of(whole))
    assert (found.probe, found.settings) == (expected.probe, expected.settings)


@pytest.mark.parametrize("batch", [40, 70])
def test_a_training_that_is_interrupted_in_the_probe_begins_again(
    teacher, student, tmp_path, interrupted, batch
):
    batches = list(loader(teacher, 320))
    with pytest.raises(KeyboardInterrupt):
        ghostify.recover(
            teacher, student, interrupted(batches, batch), epochs=5, folder=tmp_path / "new"
        )
    assert not (tmp_path / "new").exists()
    _, recovery = ghostify.recover(teacher, student, batches, epochs=5, folder=tmp_path / "new")
    assert recovery.probe


def test_a_training_resumes_after_a_collapse(teacher, student, data, tmp_path, interrupted):
    batches = [batch for batch, _ in data]
    settings = RecoverySettings(epochs=5, lr=0.3, optimizer="sgd", warmup=0)
    whole, expected = ghostify.recover(teacher, student, batches, settings, validation=batches)
    assert any("back_to" in record for record in expected.history)
    with pytest.raises(KeyboardInterrupt):
        ghostify.recover(
            teacher, student, interrupted(batches, 12), settings, validation=batches,
            folder=tmp_path,
        )  # fmt: skip
    resumed, found = ghostify.recover(
        teacher, student, batches, settings, validation=batches, folder=tmp_path, resume=True
    )
    assert same(state_of(resumed), state_of(whole))
    assert found.history[-1]["score"] == expected.history[-1]["score"]


def test_detectors_whose_boxes_cannot_be_compared_are_chosen_by_their_feature_maps(as_trained):
    recovery = recovered_detector(as_trained)
    assert recovery.original.relative_error == 0
    assert recovery.recovered.relative_error <= recovery.converted.relative_error
