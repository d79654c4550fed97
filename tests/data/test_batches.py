import pytest
import torch
from torch.utils.data import default_collate

from ghostify.data import hold_out_batches, images_in, split_labels
from ghostify.data.batches import regroup, split_batch

IMAGES = torch.zeros(2, 3, 4, 4)
LABELS = torch.tensor([0, 1])


@pytest.mark.parametrize("labels", [LABELS, torch.eye(2), torch.zeros(2, 4, 4, dtype=torch.int64)])
@pytest.mark.parametrize("kind", [list, tuple])
def test_pairs(labels, kind):
    inputs, found = split_labels(kind([IMAGES, labels]))
    assert inputs is IMAGES
    assert found is labels


def test_images_alone():
    assert split_labels(IMAGES) == (IMAGES, None)
    inputs, labels = split_labels([IMAGES])  # of a TensorDataset
    assert inputs is IMAGES
    assert labels is None


def test_two_inputs_are_no_labels():
    batch = (IMAGES, IMAGES)
    assert split_labels(batch) == (batch, None)


def test_several_inputs_are_a_tuple():
    pairs = [((image, image), label) for image, label in zip(IMAGES, LABELS, strict=True)]
    inputs, labels = split_labels(default_collate(pairs))  # makes lists of tuples
    assert isinstance(inputs, tuple)
    assert torch.equal(torch.stack(inputs), torch.stack([IMAGES, IMAGES]))
    assert torch.equal(labels, LABELS)
    alone, labels = split_labels(default_collate([pair for pair, _ in pairs]))
    assert (type(alone), len(alone), labels) == (tuple, 2, None)


def test_detectors():
    images = [torch.zeros(3, 4, 4)] * 2
    assert split_labels((images, LABELS)) == (images, LABELS)
    batch = tuple(zip(*[(image, {"boxes": 1}) for image in images], strict=True))  # torchvision's
    assert split_labels(batch) == (images, None)
    assert split_labels((images, [{"boxes": 1}] * 2)) == (images, None)
    assert split_labels([images[0]]) == ([images[0]], None)


def test_mappings():
    inputs, labels = split_labels({"pixel_values": IMAGES, "labels": LABELS})
    assert list(inputs) == ["pixel_values"]
    assert labels is LABELS
    assert split_labels({"pixel_values": IMAGES})[1] is None


def numbered(start, stop):
    return torch.arange(start, stop).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


NUMBERED = [numbered(0, 7), numbered(7, 8), numbered(8, 20)]


def numbers(batches):
    return [int(image.flatten()[0]) for batch in batches for image in batch]


def test_every_fifth_image_across_batches():
    fit, held = hold_out_batches(NUMBERED)
    assert numbers(held) == [4, 9, 14, 19]
    assert sorted(numbers(fit) + numbers(held)) == list(range(20))


@pytest.mark.parametrize("count", [0, 9])
def test_few_images_all_go_to_the_fit(count):
    batches = [numbered(0, count)] if count else []
    assert hold_out_batches(batches) == (batches, [])


def test_tuples_and_dicts_and_lists_are_divided_alike():
    x = numbered(0, 10)
    _, ((left, right),) = hold_out_batches([(x, x + 1)])
    assert torch.equal(left + 1, right)
    _, (named,) = hold_out_batches([{"a": x, "b": x + 1}])
    assert torch.equal(named["a"] + 1, named["b"])
    _, (images,) = hold_out_batches([list(x)])
    assert isinstance(images, list)
    assert numbers([images]) == [4, 9]


def test_batches_with_other_inputs_stay_whole():
    batches = [(numbered(i, i + 2), i) for i in range(11)]
    fit, held = hold_out_batches(batches)
    assert [number for _, number in held] == [4, 9]
    assert len(fit) == 9


def test_images_in():
    x = numbered(0, 4)
    assert [images_in(b) for b in (x, (x, 1), (None, x), {"x": x}, list(x), 3)] == [
        4,
        4,
        4,
        4,
        4,
        1,
    ]
    assert images_in(torch.tensor(1.0)) == 1


@pytest.mark.parametrize(
    "labels",
    [torch.randn(4, 3), torch.randn(4), torch.randint(5, (4, 8, 8)), torch.randint(2, (4, 3))],
    ids=["values", "one value", "label maps", "labels"],
)
def test_labels_of_every_kind_are_split_off(labels):
    images = torch.randn(4, 3, 8, 8)
    for batch in ((images, labels), {"x": images, "targets": labels}):
        assert split_labels(batch)[1] is labels


def test_regrouping():
    found = regroup(NUMBERED, 8)
    assert [len(batch) for batch in found] == [8, 8, 4]
    assert numbers(found) == list(range(20))
    named = [{"a": batch, "b": batch + 1} for batch in NUMBERED]
    assert [list(batch) for batch in regroup(named, 19)] == [["a", "b"]] * 2
    assert numbers(batch["b"] for batch in regroup(named, 19)) == list(range(1, 21))
    lists = regroup([[*batch] for batch in NUMBERED], 12)
    assert [len(batch) for batch in lists] == [12, 8]
    assert numbers([torch.stack(batch) for batch in lists]) == list(range(20))


def test_batches_that_cannot_be_divided_stay():
    batches = [(NUMBERED[0], torch.tensor(1)), (NUMBERED[2], torch.tensor(2))]
    assert regroup(batches, 2) == batches


def test_batches_are_split_by_the_numbers_in_them():
    x = torch.randn(5, 3, 4, 4)
    pair = {"image": x, "scale": torch.ones(5, 1)}
    assert [len(part) for part in split_batch(x, 100)] == [2, 2, 1]
    assert torch.equal(torch.cat(split_batch(x, 1)), x)
    assert [len(part["scale"]) for part in split_batch(pair, 100)] == [2, 2, 1]
    (whole,) = split_batch(x, 240)
    assert whole is x
    one_for_all = (x, torch.ones(3, 1))
    assert split_batch(one_for_all, 1) == [one_for_all]
