import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from ghostify.data import set_epoch
from ghostify.types import Augmentation

STRONG = Augmentation(crop_scale=0.3, flip=True, randaugment=9, mixup=0.4, cutmix=1.0)


def epoch_of(data, epoch):
    set_epoch(data.train, epoch)
    return [tensor for batch in data.train for tensor in batch]


def same(first, second):
    return len(first) == len(second) and all(map(torch.equal, first, second))


@pytest.mark.parametrize("augmentation", [None, STRONG], ids=["usual", "strong"])
def test_an_epoch_is_the_same_whatever_the_workers(open_it, noise, augmentation):
    alone, helped = (
        open_it(noise, augmentation=augmentation, workers=n, batch_size=4) for n in (0, 2)
    )
    torch.manual_seed(1)
    first = epoch_of(alone, 5)
    torch.manual_seed(2)  # neither what was drawn before nor the order of epochs matters
    epoch_of(helped, 0)
    assert same(epoch_of(helped, 5), first)
    assert not same(epoch_of(alone, 6), first)


def test_seeds_differ(open_it, noise):
    first, second = (epoch_of(open_it(noise, seed=seed), 0) for seed in (0, 1))
    assert not same(first, second)


def test_a_sample_is_the_same_whatever_its_batch(open_it, noise):
    """The same images in batches of three and of six, though they are mixed with others."""
    small, large = (epoch_of(open_it(noise, augmentation=STRONG, batch_size=n), 1) for n in (3, 6))
    assert torch.equal(torch.cat(small[0::2]), torch.cat(large[0::2]))
    assert torch.equal(torch.cat(small[1::2]), torch.cat(large[1::2]))


def test_drawing_leaves_the_generator_alone(open_it, noise):
    data = open_it(noise, augmentation=STRONG)
    before = torch.get_rng_state()
    data.train.dataset[0, 0]
    assert torch.equal(torch.get_rng_state(), before)


def test_every_image_once_but_for_the_last_batch(open_it, folder, ways):
    data = open_it(
        folder, held_out=0, batch_size=19, augmentation=Augmentation(), preprocessing=ways
    )
    ((images, _),) = data.train  # a last batch of one would stop a batch norm
    assert len({int(image[0, 0, 0].round()) for image in images}) == 19


def test_fewer_images_than_a_batch(open_it, folder):
    ((images, _),) = open_it(folder, held_out=0, batch_size=64).train
    assert len(images) == 20


def test_a_single_image_is_no_batch(open_it, tmp_path, folder):
    data = open_it(folder / "a", held_out=0.95)  # one is left
    assert (data.held_out, len(data.train), list(data.train)) == (9, 0, [])


def test_loaders_of_ones_own_are_seeded_by_the_epoch():
    loader = DataLoader(TensorDataset(torch.arange(50)), batch_size=5, shuffle=True)

    def order(epoch):
        set_epoch(loader, epoch)
        return torch.cat([batch for (batch,) in loader]).tolist()

    first = order(3)
    assert order(4) != first
    assert order(3) == first
    assert sorted(first) == list(range(50))


def test_accelerate_passes_the_epoch_on(open_it, noise):
    accelerate = pytest.importorskip("accelerate")
    data, plain = open_it(noise, batch_size=4), open_it(noise, batch_size=4)
    try:
        prepared = accelerate.Accelerator(cpu=True).prepare(data.train)
        set_epoch(prepared, 3)
        assert same([tensor for batch in prepared for tensor in batch], epoch_of(plain, 3))
    finally:
        accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
