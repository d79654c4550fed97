"""What each setting does to a training."""

import pytest
import torch
from torch.utils.data import DataLoader

import ghostify
from ghostify import RecoverySettings
from ghostify.training import trainer
from ghostify.types import Score

from .conftest import converted, loader, trained

BASE = RecoverySettings(epochs=1, lr=4e-3, warmup=0.1)


def weights(model):
    return torch.cat([tensor.flatten().double() for tensor in model.state_dict().values()])


@pytest.fixture(scope="module")
def train():
    """Trains one student for one epoch in the same order, and remembers the results."""
    teacher = trained()
    student, batches, known = converted(teacher), list(loader(teacher, shuffle=False)), {}

    def run(**options):
        key = str(options)
        if key not in known:
            known[key] = ghostify.recover(
                teacher, student, batches, BASE, validation=batches, progress=False, **options
            )
        return known[key]

    return run


@pytest.mark.parametrize(
    ("setting", "base"),
    [
        ({"lr": 2e-3}, {}),
        ({"weight_decay": 0.1}, {}),
        ({"warmup": 0.9}, {}),
        ({"max_grad_norm": 1e-3}, {"optimizer": "sgd"}),
        ({"momentum": 0.1}, {"optimizer": "sgd"}),
        ({"optimizer": "sgd"}, {}),
        ({"ema_decay": 0.0}, {}),
        ({"layerwise_fraction": 0.5}, {}),
        ({"alpha": 0.5}, {}),
        ({"label_smoothing": 0.3}, {"alpha": 0.5}),
        ({"temperature": 8.0}, {}),
        ({"feature_weight": 1.0}, {}),
        ({"freeze_bn": False}, {}),
        ({"precision": "bf16"}, {}),
    ],
    ids=str,
)
def test_each_setting_changes_the_weights(train, setting, base):
    one, other = (weights(train(**options)[0]) for options in (base, base | setting))
    assert not torch.allclose(one, other, rtol=1e-9, atol=1e-12)


def test_the_seed_decides_the_order_of_the_images(teacher, student):
    shuffled = loader(teacher)

    def recovered(seed):
        options = {"validation": list(shuffled), "seed": seed, "progress": False}
        return weights(ghostify.recover(teacher, student, shuffled, BASE, **options)[0])

    assert torch.equal(recovered(0), recovered(0))
    assert not torch.allclose(recovered(0), recovered(1), rtol=1e-9, atol=1e-12)


def test_the_seed_decides_the_augmentation(teacher, student, data):
    class Noisy(torch.utils.data.TensorDataset):
        def __getitem__(self, index):
            image, label = super().__getitem__(index)
            return image + 0.1 * torch.randn(image.shape), label

    noisy = DataLoader(Noisy(*data.dataset.tensors), batch_size=16)
    found = [
        weights(
            ghostify.recover(
                teacher, student, noisy, BASE, validation=data, seed=seed, progress=False
            )[0]
        )
        for seed in (0, 0, 1)
    ]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.fixture
def last(monkeypatch):
    """The last epoch is the best one."""
    monkeypatch.setattr(Score, "better_than", lambda self, other: True)


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_statistics_are_frozen_or_updated(teacher, student, data, last, ema_decay):
    for frozen in (True, False):
        settings = RecoverySettings(epochs=1, lr=1e-3, freeze_bn=frozen, ema_decay=ema_decay)
        recovered, _ = ghostify.recover(teacher, student, data, settings, validation=data)
        for name in ("running_mean", "running_var"):
            given, found = (getattr(model.norm, name) for model in (student, recovered))
            assert torch.equal(given, found) == frozen


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_networks_are_scored_in_evaluation_mode(teacher, student, data, last, ema_decay):
    """In training mode, scores would be by the statistics of each batch, which they change."""
    batches = [(inputs + 1, labels) for inputs, labels in data]  # far from the statistics
    settings = RecoverySettings(epochs=1, lr=1e-3, freeze_bn=False, ema_decay=ema_decay)
    recovered, recovery = ghostify.recover(
        teacher, student, batches, settings, validation=batches, progress=False
    )
    pairs = [(student, recovery.converted), (recovered, recovery.recovered)]
    for model, found in pairs:
        score = ghostify.evaluate(model, batches, teacher=teacher, progress=False)
        assert found.kl == pytest.approx(score.kl, rel=1e-4)


def test_the_best_weights_are_returned_after_a_resume(
    teacher, student, data, tmp_path, interrupted
):
    settings = RecoverySettings(epochs=4, lr=1.0, optimizer="sgd")
    batches = list(data)
    options = {"validation": data, "progress": False}
    whole, expected = ghostify.recover(teacher, student, batches, settings, **options)
    best = expected.best_epoch
    assert 0 < best < 4
    stop = interrupted(batches, 2 + 3 * best + 2)  # in the epoch after the best one
    with pytest.raises(KeyboardInterrupt):
        ghostify.recover(teacher, student, stop, settings, folder=tmp_path, **options)
    resumed, found = ghostify.recover(
        teacher, student, batches, settings, folder=tmp_path, resume=True, **options
    )
    assert found.best_epoch == best
    assert torch.equal(weights(resumed), weights(whole))
    score = ghostify.evaluate(resumed, data, teacher=teacher, progress=False)
    assert found.recovered.top1 == score.top1
    assert found.recovered.top1 > Score(**found.history[-1]["score"]).top1


def test_a_collapsed_training_goes_on_from_the_best_weights(teacher, student, data, monkeypatch):
    go_back, found = trainer.Trainer._go_back, []

    def going_back(self):
        go_back(self)
        found.extend([weights(self.student), weights(self.state.evaluated)])

    monkeypatch.setattr(trainer.Trainer, "_go_back", going_back)
    settings = RecoverySettings(epochs=2, lr=1.0, optimizer="sgd", warmup=0)
    batches = [batch for batch, _ in data]
    ghostify.recover(teacher, student, batches, settings, validation=batches, progress=False)
    assert len(found) == 2
    assert all(torch.equal(each, weights(student)) for each in found)


@pytest.mark.parametrize(("minutes", "written"), [(0.0, [1, 2, 3, 3]), (10.0, [3])])
def test_checkpoints_are_written_in_time(
    teacher, student, data, tmp_path, monkeypatch, minutes, written
):
    steps, write = [], trainer.write_checkpoint

    def noted(folder, checkpoint):
        steps.append(checkpoint.position.step)
        write(folder, checkpoint)

    monkeypatch.setattr(trainer, "write_checkpoint", noted)
    ghostify.recover(
        teacher, student, data, BASE, checkpoint_minutes=minutes, folder=tmp_path, progress=False
    )
    assert steps == written


def test_every_rate_is_tried_from_the_start(teacher, student, data, monkeypatch):
    losses = []

    def probe(optimizer, budget, attempt):
        for lr, steps in [(0.0, 0), (0.05, 3), (0.0, 0)]:
            losses.append(attempt(lr, steps, 60.0)[0])
        return 1e-3, ()

    monkeypatch.setattr(trainer, "choose_lr", probe)
    ghostify.recover(teacher, student, data, epochs=1, validation=data, progress=False)
    assert losses[0] == losses[2] != losses[1]
