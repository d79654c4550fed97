from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import ghostify
from ghostify import GhostifyError, RecoverySettings
from ghostify.training.loader import ShardedLoader
from ghostify.training.origin import Origin, data_digest

from .conftest import converted, images, loader, trained

SETTINGS = RecoverySettings(epochs=2, lr=1e-3)


@pytest.fixture
def batches(teacher):
    return list(loader(teacher, shuffle=False))


@pytest.fixture
def stopped(teacher, student, batches, tmp_path, interrupted):
    """Return a training in `tmp_path`, interrupted in the first epoch, to be resumed."""

    def train(batches=batches, *, resume=True, teacher=teacher, student=student, **options):
        options = {"validation": batches, "settings": SETTINGS} | options
        return ghostify.recover(
            teacher, student, batches, folder=tmp_path, resume=resume, **options
        )

    with pytest.raises(KeyboardInterrupt):
        train(interrupted(batches, 4), resume=False, validation=batches)
    return train


OTHERS = {
    "seed": 1, "lr": 2e-3, "temperature": 3.0, "alpha": 0.5, "label_smoothing": 0.1, "epochs": 3,
    "minutes": 5.0, "patience": 1, "optimizer": "sgd", "weight_decay": 0.0, "momentum": 0.5,
    "warmup": 0.0, "max_grad_norm": 1.0, "ema_decay": 0.0, "layerwise_fraction": 0.5,
    "feature_weight": 1.0, "freeze_bn": False, "precision": "fp32", "channels_last": False,
    "compile": True,
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in OTHERS if name != "compile"])
def test_another_setting_is_refused(stopped, name):
    message = rf"another training: `{name}` \(={OTHERS[name]!r}\) must be "
    with pytest.raises(GhostifyError, match=message):
        stopped(**{name: OTHERS[name]})


def test_every_setting_that_changes_the_weights_is_compared():
    for entry in RecoverySettings.__dataclass_fields__:
        if entry == "checkpoint_minutes":
            continue
        origin = Origin("a", "b", replace(SETTINGS, **{entry: OTHERS[entry]}))
        assert f"`{entry}` (=" in origin.difference(Origin("a", "b", SETTINGS))


def test_an_argument_that_was_not_given_is_to_be_left_out():
    origin = Origin("a", "b", SETTINGS)
    assert origin.difference(origin) is None
    assert origin.difference(replace(origin, settings=RecoverySettings(epochs=2))) == (
        "`lr` (=0.001) must be left out"
    )
    assert replace(origin, stages=2).difference(origin) == "`stages` (=2) must be left out"


def test_the_interval_of_checkpoints_may_change(stopped):
    _, recovery = stopped(checkpoint_minutes=0.0)
    assert recovery.steps == 6


def test_another_student_is_refused(stopped, teacher):
    calibrated = ghostify.convert(teacher, images(1), calibration=images(16), progress=False)
    changed = converted(teacher)
    changed.head.bias.data[0] += 1e-6
    for student in (calibrated, changed):
        with pytest.raises(GhostifyError, match="the network to train has other weights"):
            stopped(student=student)


def test_another_teacher_is_refused(stopped):
    other = trained()
    other.head.weight.data *= 2
    with pytest.raises(GhostifyError, match="the teacher has other weights"):
        stopped(teacher=other, force=True)


@pytest.mark.parametrize("change", ["images", "labels", "number", "batch size"])
def test_other_data_are_refused(stopped, batches, change):
    validation = list(batches)
    if change == "images":
        batches[0] = (batches[0][0] + 1e-6, batches[0][1])
    elif change == "labels":
        batches[0] = (batches[0][0], 4 - batches[0][1])
    elif change == "number":
        batches.append(batches[0])
    else:
        batches = [(x[:8], y[:8]) for x, y in batches]
    with pytest.raises(GhostifyError, match="holds a checkpoint .* `data` holds other images"):
        stopped(batches, validation=validation)


def test_other_validation_data_are_refused(stopped, teacher):
    with pytest.raises(GhostifyError, match="`data` holds other images"):
        stopped(validation=loader(teacher, 32))


def test_other_outputs_are_refused(stopped):
    with pytest.raises(GhostifyError, match="`outputs` are of another kind"):
        stopped(outputs="values")


def test_the_same_arguments_are_accepted_again(stopped):
    _, recovery = stopped()
    assert recovery.steps == 6
    _, again = stopped()
    assert again.history == recovery.history


def test_data_that_differ_each_time_are_not_compared(teacher, student, tmp_path, interrupted):
    class Random:
        def __init__(self):
            self.draw = torch.Generator().manual_seed(0)

        def __len__(self):
            return 3

        def __iter__(self):
            return iter(torch.randn(48, 3, 8, 8, generator=self.draw).split(16))

    settings = RecoverySettings(epochs=2, lr=1e-3)
    held_out = [images(16)]
    with pytest.raises(KeyboardInterrupt):
        ghostify.recover(
            teacher, student, interrupted(Random(), 4), settings, validation=held_out,
            folder=tmp_path,
        )  # fmt: skip
    _, recovery = ghostify.recover(
        teacher, student, Random(), settings, validation=held_out, folder=tmp_path, resume=True
    )
    assert recovery.steps == 6


def test_a_digest_is_of_the_first_batches_and_the_lengths():
    from ghostify.training.accelerator import accelerated

    with accelerated(SETTINGS) as accelerator:

        def digest(*parts):
            return data_digest([ShardedLoader(part, accelerator, SETTINGS) for part in parts])

        one, two = [images(2)], [images(2), images(2)]
        assert digest(one) == digest([images(2)])
        others = [digest(two), digest(one, one), digest([images(3)]), digest(iter_of(2))]
        assert len({digest(one), *others}) == 5


def test_processes_have_the_same_digest():
    def digest(rank, processes):
        process = SimpleNamespace(
            num_processes=processes, process_index=rank, device=torch.device("cpu")
        )
        odd = torch.utils.data.DataLoader(images(5), batch_size=2)
        parts = [ShardedLoader(odd, process, SETTINGS, even=even) for even in (True, False)]
        return data_digest(parts)

    assert digest(0, 1) == digest(0, 2) == digest(1, 2)


def iter_of(number):
    class Stream:
        def __iter__(self):
            return iter([images(number)])

    return Stream()


@pytest.mark.parametrize("stages", [None, 2])
def test_nothing_to_resume_is_an_error(teacher, student, data, tmp_path, stages):
    options = {"settings": SETTINGS, "stages": stages, "resume": True}
    with pytest.raises(GhostifyError, match=r"holds no checkpoint to resume: leave out `resume`"):
        ghostify.recover(teacher, student, data, folder=tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()
    with pytest.raises(GhostifyError, match="`resume` requires `folder`"):
        ghostify.recover(teacher, student, data, **options)
