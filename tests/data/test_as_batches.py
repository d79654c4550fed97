import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from ghostify import GhostifyError
from ghostify.data import as_batches

IMAGES = torch.arange(20.0).view(-1, 1, 1, 1).expand(20, 3, 8, 8).contiguous()
LABELS = torch.arange(20)
EXAMPLE = torch.zeros(1, 3, 8, 8)


class Photos(Dataset):
    """Like most datasets, it never raises IndexError."""

    def __init__(self, item):
        self.item = item

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return self.item(IMAGES[index % 20], index)


def shapes(batches):
    return [tuple(batch.shape) for batch in batches]


def test_a_tensor_is_split():
    batches = as_batches(IMAGES, EXAMPLE)
    assert shapes(batches) == [(16, 3, 8, 8), (4, 3, 8, 8)]
    assert torch.equal(torch.cat(batches), IMAGES)


def test_another_height_and_width_are_the_models_affair():
    assert shapes(as_batches(torch.zeros(2, 3, 5, 7), EXAMPLE)) == [(2, 3, 5, 7)]


def test_one_image_is_a_batch():
    assert shapes(as_batches(IMAGES[0], EXAMPLE, batch_size=2)) == [(1, 3, 8, 8)]


def test_a_labeled_loader():
    loader = DataLoader(TensorDataset(IMAGES, LABELS), batch_size=8)
    batches = as_batches(loader, EXAMPLE)
    assert shapes(batches) == [(8, 3, 8, 8), (8, 3, 8, 8), (4, 3, 8, 8)]
    assert torch.equal(torch.cat(batches), IMAGES)


def test_a_generator_is_gone_through_once():
    assert len(as_batches((IMAGES[i : i + 4] for i in (0, 4)), EXAMPLE)) == 2


@pytest.mark.parametrize(
    "item",
    [
        lambda image, label: image,
        lambda image, label: (image, label),
        lambda image, label: (image, image + 1),
        lambda image, label: (label, image),
        lambda image, label: {"label": torch.tensor(label), "pixels": image},
        lambda image, label: ({"image": image}, label),
    ],
)
def test_a_dataset_of_single_images(item):
    batches = as_batches(Photos(item), EXAMPLE, batch_size=4)
    assert shapes(batches) == [(4, 3, 8, 8), (2, 3, 8, 8)]
    assert torch.equal(torch.cat(batches), IMAGES[:6])
    assert len(as_batches(Subset(Photos(item), [1, 2]), EXAMPLE)) == 1


def test_a_loader_that_does_not_collate_loses_no_image():
    loader = DataLoader(Photos(lambda image, label: (image, label)), 3, collate_fn=list)
    assert shapes(as_batches(loader, EXAMPLE)) == [(6, 3, 8, 8)]


def test_single_images_of_two_sizes_do_not_share_a_batch():
    images = [IMAGES[0], IMAGES[1], torch.zeros(3, 4, 4)]
    assert shapes(as_batches(images, EXAMPLE)) == [(2, 3, 8, 8), (1, 3, 4, 4)]


def test_precision_is_that_of_the_example():
    assert as_batches(IMAGES.double(), EXAMPLE)[0].dtype == torch.float32


def test_a_tuple_of_one_input():
    assert shapes(b for (b,) in as_batches(IMAGES, (EXAMPLE,))) == [(16, 3, 8, 8), (4, 3, 8, 8)]
    ((batch,),) = as_batches([(IMAGES, LABELS)], (EXAMPLE,))
    assert batch.shape == IMAGES.shape


@pytest.mark.parametrize("item", [(IMAGES, IMAGES), [IMAGES, IMAGES, LABELS]])
def test_two_positional_inputs(item):
    ((left, right),) = as_batches([item], (EXAMPLE, EXAMPLE))
    assert left.shape == right.shape == IMAGES.shape


def test_two_inputs_and_a_label():
    pairs = Photos(lambda image, label: ((image, image * 2), label))
    ((left, right),) = as_batches(pairs, (EXAMPLE, EXAMPLE))
    assert torch.equal(left * 2, right)


def test_inputs_by_name():
    example = {"image": EXAMPLE, "ids": torch.zeros(1, 5, dtype=torch.long)}
    item = {"labels": LABELS, "ids": torch.ones(20, 7, dtype=torch.long), "image": IMAGES}
    for data in ([item], [(item, LABELS)], item):
        (batch,) = as_batches(data, example)
        assert list(batch) == ["image", "ids"]
        assert batch["ids"].shape == (20, 7)


def test_one_input_by_name():
    (batch,) = as_batches([(IMAGES, LABELS)], {"pixel_values": EXAMPLE})
    assert torch.equal(batch["pixel_values"], IMAGES)


def test_settings_beside_the_image():
    assert as_batches([(IMAGES, 3)], (EXAMPLE, 1))[0][1] == 3


@pytest.mark.parametrize(
    "items",
    [
        [[torch.zeros(3, 9, 9), torch.zeros(3, 5, 5)]],
        [((torch.zeros(3, 9, 9), torch.zeros(3, 5, 5)), ({"boxes": LABELS}, {"boxes": LABELS}))],
        [(torch.zeros(3, 9, 9), {"boxes": LABELS}), (torch.zeros(3, 5, 5), {"boxes": LABELS})],
    ],
)
def test_a_detector_takes_lists_of_images(items):
    for example in ([EXAMPLE[0]], ([EXAMPLE[0]],)):
        (batch,) = as_batches(items, example)
        images = batch[0] if isinstance(example, tuple) else batch
        assert isinstance(images, list)
        assert shapes(images) == [(3, 9, 9), (3, 5, 5)]


def test_a_detector_takes_a_tensor_apart():
    assert [len(batch) for batch in as_batches(IMAGES, [EXAMPLE[0]])] == [16, 4]
    ((images,),) = as_batches([(IMAGES, LABELS)], ([EXAMPLE[0]],))
    assert isinstance(images, list)
    assert len(images) == 20


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "the calibration data is empty"),
        (3, "calibration is a int"),
        ("photos", "calibration is a str"),
        (
            [IMAGES, torch.zeros(4, 1, 8, 8)],
            "item 1 is 4x1x8x8, .* 1x3x8x8: a channel count of 1",
        ),
        (
            [(torch.zeros(4, 1, 8, 8), LABELS)],
            r"item 0 is \[4x1x8x8, 20\], .* a channel count of 1",
        ),
        (torch.zeros(20, 8), "2 dimensions instead of 4"),
        (torch.zeros(0, 3, 8, 8), "no values"),
        (["cat.jpg"], "item 0 is str, but the model takes 1x3x8x8$"),
        ([{"a": LABELS}], r"item 0 is \{a: 20\}"),
        (IMAGES.log() - 1, "item 0 holds NaN or infinite values"),
        ((IMAGES % 7).to(torch.uint8), r"holds uint8, .* float32: scale images with x.float\(\)"),
    ],
)
def test_what_does_not_fit(data, message):
    with pytest.raises(GhostifyError, match=message) as caught:
        as_batches(data, EXAMPLE)
    assert "\n" not in str(caught.value)


def test_a_detectors_broken_image():
    with pytest.raises(GhostifyError, match="NaN"):
        as_batches([[IMAGES[0] / 0]], [EXAMPLE[0]])
    with pytest.raises(GhostifyError, match="channel count of 1 instead of 3"):
        as_batches([[torch.zeros(1, 8, 8)]], [EXAMPLE[0]])


def test_numbers_for_a_model_that_takes_integers():
    with pytest.raises(GhostifyError, match="holds float32, but the model takes int64"):
        as_batches([torch.ones(2, 5)], torch.zeros(1, 5, dtype=torch.long))


def test_a_batch_of_none():
    with pytest.raises(GhostifyError, match=r"`batch_size` \(=0\)"):
        as_batches(IMAGES, EXAMPLE, batch_size=0)


def test_a_model_without_inputs():
    with pytest.raises(GhostifyError, match="the example has no inputs"):
        as_batches(IMAGES, ())
