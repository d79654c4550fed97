from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader

from ghostify.data.loaders import EpochSampler
from ghostify.training.accelerator import accelerated
from ghostify.training.loader import ShardedLoader
from ghostify.types import GhostifyError, RecoverySettings

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


@pytest.mark.parametrize("start", [0, 1])
def test_processes_share_each_batch_and_load_no_more(sharded, start):
    def share(rank):
        numbers = Numbers()
        process = SimpleNamespace(num_processes=2, process_index=rank, device=torch.device("cpu"))
        data = DataLoader(numbers, batch_size=4, sampler=EpochSampler(12, seed=1))
        loader = ShardedLoader(data, process, SETTINGS)
        found = [[int(value) for value in batch] for batch in values(loader.epoch(2, start))]
        assert numbers.loaded == 2 * (3 - start)
        return found

    loader = sharded(DataLoader(Numbers(), batch_size=4, sampler=EpochSampler(12, seed=1)))
    whole = [[int(value) for value in batch] for batch in values(loader.epoch(2))]
    shares = zip(share(0), share(1), strict=True)
    assert [first + second for first, second in shares] == whole[start:]


def test_a_batch_size_must_be_a_multiple_of_the_processes(sharded):
    process = SimpleNamespace(num_processes=3, process_index=0, device=torch.device("cpu"))
    with pytest.raises(GhostifyError, match="`data` cannot be divided: .*batch size"):
        ShardedLoader(DataLoader(Numbers(), batch_size=4), process, SETTINGS)
