import pytest
import torch
from torch.utils.data import DataLoader

from ghostify.data.loaders import EpochSampler
from ghostify.training.accelerator import accelerated
from ghostify.training.loader import ShardedLoader
from ghostify.types import RecoverySettings

SETTINGS = RecoverySettings(seed=3, precision="fp32", channels_last=False)


class Numbers:
    """Images whose value is their epoch and number; counts what is loaded."""

    def __init__(self):
        self.loaded = 0

    def __len__(self):
        return 12

    def __getitem__(self, index):
        self.loaded += 1
        epoch, number = index if isinstance(index, tuple) else (0, index)
        return torch.full((3, 1, 1), 100.0 * epoch + number) + torch.rand(())


@pytest.fixture
def sharded():
    with accelerated(SETTINGS) as accelerator:
        yield lambda data: ShardedLoader(data, accelerator, SETTINGS)


def values(batches):
    return [inputs[:, 0, 0, 0].tolist() for inputs, _ in batches]


def test_each_epoch_has_its_own_order_and_repeats(sharded):
    loader = sharded(DataLoader(Numbers(), batch_size=4, shuffle=True))
    first, second = values(loader.epoch(0)), values(loader.epoch(1))
    assert len(loader) == len(first) == 3
    assert first != second
    assert values(loader.epoch(0)) == first


def test_skipped_batches_are_not_loaded_where_the_sampler_knows_the_epoch(sharded):
    numbers = Numbers()
    loader = sharded(DataLoader(numbers, batch_size=4, sampler=EpochSampler(12, seed=1)))
    whole = [[int(value) for value in batch] for batch in values(loader.epoch(5))]
    numbers.loaded = 0
    assert [[int(value) for value in batch] for batch in values(loader.epoch(5, 2))] == whole[2:]
    assert numbers.loaded == 4


def test_other_loaders_draw_and_drop_skipped_batches(sharded):
    loader = sharded(DataLoader(Numbers(), batch_size=4, shuffle=True))
    assert values(loader.epoch(1, 2)) == values(loader.epoch(1))[2:]


def test_the_first_batch_is_that_of_the_first_epoch(sharded):
    loader = sharded([torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4)])
    assert values([loader.first()]) == [[0, 0]]
