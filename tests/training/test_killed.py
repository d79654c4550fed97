"""A training that is killed at any step goes on to the same weights, bit for bit."""

import multiprocessing
import os
import random
import signal

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import ghostify
from ghostify import RecoverySettings
from ghostify.training.checkpoint import has_checkpoint


class Noisy(TensorDataset):
    """Draws its augmentation from torch's own generator, and may kill the process."""

    last = None

    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        if self.last is not None:
            self.last -= 1
            if self.last == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return image + 0.1 * torch.randn(image.shape), label


@pytest.mark.alone
@pytest.mark.parametrize(
    ("seed", "setting"), list(enumerate([{}, {"optimizer": "muon"}, {"freeze_bn": False}])), ids=str
)
def test_killed_and_resumed(teacher, student, data, tmp_path, seed, setting):
    settings = RecoverySettings(
        epochs=3, layerwise_fraction=0.3, ema_decay=0.9, checkpoint_minutes=0, **setting
    )
    noisy = Noisy(*data.dataset.tensors)

    def train(folder, last=None):
        noisy.last = last
        batches = DataLoader(noisy, batch_size=8, shuffle=True)  # 6 an epoch
        recovered, _ = ghostify.recover(
            teacher, student, batches, settings, folder=folder, resume=has_checkpoint(folder),
            validation=data,
        )  # fmt: skip
        return recovered.state_dict()

    if setting.get("optimizer") == "muon" and not hasattr(torch.optim, "Muon"):
        pytest.skip("requires PyTorch 2.9")
    draw = random.Random(seed)
    for _ in range(2):
        image = draw.randint(32, 72)  # 16 are read before the first step
        killed = multiprocessing.get_context("fork").Process(
            target=train, args=(tmp_path / "killed", image)
        )
        killed.start()
        killed.join()
        assert killed.exitcode == -signal.SIGKILL
    assert has_checkpoint(tmp_path / "killed")
    whole, resumed = train(tmp_path / "whole"), train(tmp_path / "killed")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
