from itertools import chain

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, WeightedRandomSampler

from ghostify.data import set_epoch
from ghostify.data.datasets import TrainingDataset
from ghostify.data.images import Images
from ghostify.data.loaders import EpochSampler, training_loader
from ghostify.data.split import has_images, hold_out, split
from ghostify.types import GhostifyError

NUMBERS = torch.arange(200.0)


def values(batches):
    """The images' numbers, batch by batch."""
    found = []
    for batch in batches:
        inputs = batch[0] if isinstance(batch, tuple | list) else batch
        found.append(torch.as_tensor(inputs).flatten().tolist())
    return found


def numbers(batches):
    return sorted(chain(*values(batches)))


def loader(**options):
    return DataLoader(TensorDataset(NUMBERS, NUMBERS.long()), **{"batch_size": 16, **options})


def listed():
    return [(part[:, None], part.long()) for part in NUMBERS.split(16)]


@pytest.mark.parametrize("data", [loader(shuffle=True), listed()], ids=["loader", "list"])
@pytest.mark.parametrize("every", [2, 10])
def test_the_parts_are_disjoint_complete_and_always_the_same(data, every):
    rest, held = split(data, every)
    assert len(numbers(held)) == 200 // every
    assert sorted(numbers(rest) + numbers(held)) == NUMBERS.tolist()
    assert numbers(held) == numbers(split(data, every)[1]) == numbers(held)
    assert len({number % every for number in numbers(held)}) > 1  # no class is missed


def test_loaders_and_lists_hold_out_the_same_images():
    assert numbers(split(loader(), 10)[1]) == numbers(split(listed(), 10)[1])


def test_at_most_some_are_held_out():
    for data in (loader(), listed()):
        rest, held = split(data, 10, 3)
        assert len(numbers(held)) == 3
        assert max(numbers(held)) < 30
        assert len(numbers(rest)) == 197


def test_a_part_can_be_divided_again():
    for data in (loader(), listed()):
        chosen, others = split(split(data, 4)[1], 2)
        assert len(numbers(chosen)) == len(numbers(others)) == 25
        assert not set(numbers(chosen)) & set(numbers(others))


def test_the_rest_keeps_how_it_is_loaded():
    def collate(samples):
        return torch.tensor([float(image) for image, _ in samples])

    data = loader(shuffle=True, collate_fn=collate, drop_last=True)
    rest, held = split(data, 10)
    assert (rest.batch_size, rest.collate_fn, held.collate_fn) == (16, collate, collate)
    assert len(rest) == 11
    orders = []
    for epoch in (0, 1, 0):
        set_epoch(rest, epoch)
        orders.append(values(rest))
    assert [len(batch) for batch in orders[0]] == [16] * 11
    assert orders[0] == orders[2] != orders[1]
    assert numbers(held) == list(chain(*values(held)))  # in order


def test_workers_load_both_parts():
    rest, held = split(loader(num_workers=1, persistent_workers=True), 4)
    assert (rest.num_workers, rest.persistent_workers) == (1, True)
    assert sorted(numbers(rest) + numbers(held)) == NUMBERS.tolist()


def test_samplers_and_batch_samplers_of_ones_own():
    sampler = WeightedRandomSampler([1.0] * 200, 400)
    rest, held = split(loader(sampler=sampler), 10)
    assert len(rest) == 23  # of 360 images
    assert not set(numbers(rest)) & set(numbers(held))
    batches = [[0, 1, 2], *([n] for n in range(3, 200))]
    rest, held = split(loader(batch_size=1, batch_sampler=batches), 10)
    assert sorted(numbers(rest) + numbers(held)) == NUMBERS.tolist()
    assert len(next(iter(held))[0]) == 20


def test_only_samplers_that_know_the_epoch_are_told():
    assert not hasattr(split(loader(shuffle=True), 10)[0].sampler, "set_epoch")
    rest, _ = split(loader(sampler=EpochSampler(200, seed=1)), 10)
    rest.sampler.set_epoch(3)
    assert rest.sampler.whole.epoch == 3


class Plain:
    """A transform that returns what tells images and augmentation apart."""

    mode, input_size = "L", (1, 1, 1)

    def __init__(self, augmented=True):
        self.augmented = augmented
        self.augmentation = self
        self.mixup = self.cutmix = 0

    def with_augmentation(self, _):
        return Plain(augmented=False)

    def __call__(self, image):
        return torch.tensor([image.getpixel((0, 0)) + 1000.0 * self.augmented])


def test_held_out_images_of_open_data_are_not_augmented():
    pixels = [torch.full((1, 1), n, dtype=torch.uint8).numpy() for n in range(100)]
    images = Images([str(n) for n in range(100)], pixels, list(range(100)))
    rest, held = split(training_loader(TrainingDataset(images, Plain(), 0, None), 8, 0, 0), 10)
    assert len(numbers(held)) == 10
    assert max(numbers(held)) < 100
    assert {n - 1000 for n in numbers(rest)}.isdisjoint(numbers(held))


class Stream(IterableDataset):
    def __iter__(self):
        return iter(NUMBERS)


def test_streams_are_divided_lazily():
    rest, held = hold_out(DataLoader(Stream(), batch_size=16))
    assert sorted(numbers(rest) + numbers(held)) == NUMBERS.tolist()
    assert len(numbers(held)) == 20
    with pytest.raises(TypeError):
        len(rest)


def test_a_held_out_part_ends_with_its_last_image():
    def batches():
        yield NUMBERS[:64, None]
        raise AssertionError

    class Long:
        def __iter__(self):
            return batches()

    assert len(numbers(split(Long(), 8, 8)[1])) == 8


def test_batches_that_cannot_be_divided_are_held_out_whole():
    data = [(torch.tensor([[float(n), -1.0]]), torch.zeros(3)) for n in range(40)]
    rest, held = split(data, 4)
    assert (len(values(rest)), len(values(held))) == (30, 10)


def test_lists_of_images_and_named_inputs_are_divided():
    detector = [[torch.full((1, 1, 1), float(n + m)) for m in range(4)] for n in range(0, 40, 4)]
    rest, held = split(detector, 4)
    assert sum(len(images) for images, _ in held) == 10
    assert sum(len(images) for images, _ in rest) == 30
    named = [{"a": NUMBERS[:40, None], "b": NUMBERS[:40, None], "labels": NUMBERS[:40]}]
    ((inputs, labels),) = split(named, 4)[1]
    assert torch.equal(inputs["a"][:, 0], labels)
    assert len(labels) == 10


@pytest.mark.parametrize(
    ("images", "held"), [(63, None), (64, 16), (100, 17), (200, 20), (9000, 512)]
)
def test_a_tenth_is_held_out_of_enough_images(images, held):
    batches = [torch.zeros(1, 1)] * images
    for data in (batches, DataLoader(TensorDataset(torch.zeros(images, 1)), batch_size=8)):
        rest, part = hold_out(data)
        if held is None:
            assert rest is data
            assert part is None
        else:
            assert len(numbers(part)) == held
            assert len(numbers(rest)) == images - held


def test_the_only_full_batch_is_not_divided():
    data = loader(batch_size=190, drop_last=True)
    assert hold_out(data) == (data, None)


def test_no_images():
    with pytest.raises(GhostifyError, match="`data` is empty"):
        hold_out([])


def test_images_are_counted_no_further_than_needed():
    def batches():
        yield torch.zeros(8, 1)
        raise AssertionError

    assert has_images(batches(), 8)
    assert not has_images([torch.zeros(8, 1)], 9)
    assert has_images(loader(), 200)
    assert not has_images(loader(), 201)
