import os
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from ghostify import GhostifyError, open_data
from ghostify.data import as_batches, calibration_batches, open_calibration
from ghostify.data.calibration import choose
from ghostify.types import Augmentation, ModelSource, Preprocessing

SOURCE = ModelSource("net.py:build", {}, (3, 8, 8), Preprocessing((0.0,), (1.0,)))

read = partial(open_calibration, model=nn.Identity(), source=SOURCE)
read_all = partial(read, evaluation=True)


def images_of(calibration):
    return torch.cat(calibration.batches)


def save(path, size=(12, 10), color=(255, 0, 0)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


def truncate(path):
    Image.frombytes("RGB", (64, 64), os.urandom(64 * 64 * 3)).save(path)
    path.write_bytes(path.read_bytes()[:2000])


def test_images_of_all_formats_in_order(tmp_path):
    names = ["a/1.JPG", "a/2.png", "b/c/3.webp", "d.bmp", "e.tif", "f.jpeg", "g.gif", "h.jfif"]
    for number, name in enumerate(names):
        save(tmp_path / name, color=(30 * number,) * 3)
    (tmp_path / "labels.csv").write_text("no image")
    found = read_all(tmp_path)
    images = images_of(found)
    assert found.skipped == {"labels.csv": "not an image"}
    assert images.dtype == torch.float32
    assert images.shape == (8, 3, 8, 8)
    assert (images[:, 0, 4, 4] * 255 / 30).round().tolist() == list(range(8))


def test_batches_are_full_but_the_last(tmp_path):
    for number in range(6):
        save(tmp_path / f"{number}.png")
    (tmp_path / "0.png").write_text("hello")
    assert [len(batch) for batch in read_all(tmp_path, batch_size=2).batches] == [2, 2, 1]


def test_normalized(tmp_path):
    save(tmp_path / "red.png")
    source = ModelSource("x", {}, (3, 4, 4), Preprocessing((0.5, 0.5, 0.0), (0.5, 1.0, 1.0)))
    images = images_of(read(tmp_path, source=source))
    assert images[0, :, 0, 0].tolist() == [1.0, -0.5, 0.0]


@pytest.mark.parametrize("preprocessing", [None, Preprocessing((0.4,), (0.2,), resize=13)])
def test_the_same_preprocessing_as_in_evaluation(folder, noise, preprocessing):
    """A folder and its `Data` give the same images, whatever the augmentation of training."""
    source = ModelSource("resnet50", {}, (3, 8, 8))
    common = {"model": nn.Identity(), "source": source, "preprocessing": preprocessing}
    evaluated = open_data(noise, **common, held_out=1, labels=False)
    expected = torch.cat(list(evaluated.validation))
    assert torch.equal(images_of(open_calibration(noise, **common, evaluation=True)), expected)
    strong = Augmentation(crop_scale=0.3, flip=True, mixup=1.0)
    trained = open_data(noise, **common, held_out=0, labels=False, augmentation=strong)
    example = torch.zeros(1, 3, 8, 8)
    assert torch.equal(torch.cat(as_batches(trained, example)), expected)
    assert torch.equal(torch.cat(as_batches(evaluated, example)), expected)
    assert sum(map(len, as_batches(trained, example, images=7))) == 7


def test_unreadable_images_of_opened_data(open_it, folder):
    for number in range(4):
        (folder / "a" / f"0{number}.png").write_bytes(b"no picture")
    data = open_it(folder, held_out=0, batch_size=2)
    assert sum(map(len, as_batches(data, torch.zeros(1, 3, 16, 16)))) == 16
    assert len(data.skipped()) == 4


def test_broken_images_are_skipped_and_named(tmp_path):
    save(tmp_path / "good.png")
    save(tmp_path / "z.png", color=(0, 255, 0))
    truncate(tmp_path / "cut.jpg")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "text.png").write_text("hello")
    (tmp_path / "empty.png").touch()
    found = read_all(tmp_path)
    assert images_of(found)[:, :, 0, 0].tolist() == [[1, 0, 0], [0, 1, 0]]
    assert "truncated" in found.skipped.pop("cut.jpg")
    assert found.skipped == {
        "empty.png": "not an image",
        str(Path("sub/text.png")): "not an image",
    }


def test_all_broken(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(GhostifyError, match=r"none of the .* can be read: .* not an image \(text"):
        read(tmp_path)


def test_one_image(tmp_path):
    save(tmp_path / "one.png")
    assert images_of(read(tmp_path / "one.png")).shape == (1, 3, 8, 8)


def test_progress(tmp_path):
    for name in "ab":
        save(tmp_path / f"{name}.png")
    seen = []
    read_all(tmp_path, progress=seen.append)
    assert [(progress.done, progress.total) for progress in seen] == [(1, 2), (2, 2)]


def test_images_are_chosen_from_all_folders():
    names = [
        f"{folder}/{n:02}.png"
        for folder, size in (("a", 50), ("b", 9), ("c", 2))
        for n in range(size)
    ]
    chosen = choose(names, 12, seed=0)
    counts = {folder: sum(names[index][0] == folder for index in chosen) for folder in "abc"}
    assert counts == {"a": 5, "b": 5, "c": 2}
    assert chosen == sorted(chosen) == choose(names, 12, seed=0)
    assert chosen != choose(names, 12, seed=1)
    assert choose(names, 100, seed=0) == list(range(61))


def test_fewer_images_than_folders():
    assert len(choose([f"{n}/x.png" for n in range(20)], 3, seed=0)) == 3


def test_a_tensor_file(tmp_path):
    torch.save(torch.arange(20.0).view(20, 1, 1, 1).expand(20, 3, 8, 8), tmp_path / "x.pt")
    images = images_of(read_all(tmp_path / "x.pt", images=5))[:, 0, 0, 0].tolist()
    assert len(set(images)) == 5
    assert images == sorted(images)
    assert len(images_of(read_all(tmp_path / "x.pt"))) == 20


def test_the_seed_alone_chooses_from_a_tensor_file(tmp_path):
    torch.save(torch.arange(60.0).view(60, 1, 1, 1).expand(60, 3, 8, 8), tmp_path / "x.pt")

    def chosen(seed):
        torch.rand(1)  # what was drawn before does not matter
        found = read_all(tmp_path / "x.pt", images=5, seed=seed)
        return images_of(found)[:, 0, 0, 0].tolist()

    assert chosen(0) == chosen(0)
    assert chosen(0) != chosen(1)


def test_a_tensor_file_for_inputs_that_no_image_has(tmp_path):
    torch.save(torch.zeros(3, 12, 8, 8), tmp_path / "x.pt")
    found = read_all(tmp_path / "x.pt", source=ModelSource("x", {}, (12, 8, 8)))
    assert images_of(found).shape == (3, 12, 8, 8)


def test_a_named_dataset():
    images = images_of(read("digits", images=30))
    assert images.shape == (30, 3, 8, 8)
    opened = open_data("digits", nn.Identity(), SOURCE, held_out=1, labels=False)
    every = torch.cat(list(opened.validation)).flatten(1)
    assert torch.cdist(images.flatten(1), every, p=float("inf")).min(1).values.max() == 0


def shades(calibration):
    return [round(float(image[0, 0, 0]) * 255) for image in images_of(calibration)]


@pytest.mark.parametrize("with_splits", [False, True])
def test_images_that_are_held_out_are_not_used(tmp_path, with_splits):
    """Neither those that `open_data` holds out, nor a validation split."""
    for number in range(40):
        part = ("val" if number % 4 == 0 else "train") if with_splits else ""
        save(tmp_path / part / "ab"[number % 2] / f"{number}.png", color=(6 * number,) * 3)
        save(tmp_path / part / "ab"[1 - number % 2] / f"{number}.png", color=(6 * number,) * 3)
    held = torch.cat([batch for batch, _ in open_data(tmp_path, Scores(), SOURCE).validation])
    used = shades(read(tmp_path))
    assert len(used) + len(held) == 80
    if with_splits:
        assert not {*used} & {round(float(image[0, 0, 0]) * 255) for image in held}
    assert shades(read(tmp_path, evaluation=True)) != used


class Scores(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))


def test_a_tenth_of_a_tensor_file_is_held_out(tmp_path):
    torch.save(torch.arange(20.0).view(20, 1, 1, 1).expand(20, 3, 8, 8), tmp_path / "x.pt")
    held = torch.cat(list(open_data(tmp_path / "x.pt", nn.Identity(), SOURCE).validation))
    used = images_of(read(tmp_path / "x.pt"))
    values = [image[0, 0, 0].item() for image in (*held, *used)]
    assert (len(held), len(used)) == (2, 18)
    assert sorted(values) == list(range(20))


def test_validation_images_alone_are_not_calibrated_with(tmp_path):
    save(tmp_path / "val" / "a.png")
    with pytest.raises(GhostifyError, match="has validation images only"):
        read(tmp_path)
    assert len(images_of(read(tmp_path, evaluation=True))) == 1
    assert len(images_of(read(tmp_path / "val"))) == 1


def test_the_names_of_sources_in_place_of_batches(tmp_path):
    save(tmp_path / "one.png")
    (batch,) = calibration_batches(str(tmp_path / "one.png"), nn.Identity(), (EXAMPLE,))
    assert batch[0].shape == (1, 3, 8, 8)
    (named,) = calibration_batches(tmp_path, nn.Identity(), {"x": EXAMPLE})
    assert named["x"].shape == (1, 3, 8, 8)


def test_the_part_that_a_named_source_is_read_for(tmp_path):
    save(tmp_path / "train" / "a.png", color=(0, 0, 0))
    save(tmp_path / "val" / "b.png", color=(255, 255, 255))
    trained, held = (
        calibration_batches(tmp_path, nn.Identity(), EXAMPLE, evaluation=evaluation)[0].mean()
        for evaluation in (False, True)
    )
    assert trained < 0 < held


EXAMPLE = torch.zeros(1, 3, 8, 8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": ModelSource("x", {}, (8,))}, r"`input_size` \(=8\) must be channels x height"),
        ({"source": ModelSource("x", {}, (4, 8, 8))}, "1 or 3 channels, .* 4"),
        ({"source": None}, "does not declare its input size"),
        ({"images": 0}, r"`images` \(=0\) must be at least 1"),
        ({"batch_size": 0}, r"`batch_size` \(=0\) must be at least 1"),
        (
            {"calibration": "nowhere"},
            r"'nowhere' is no source of images: name a folder of images, an image, a file",
        ),
        ({"calibration": __file__}, "is no source of images"),
    ],
)
def test_arguments_out_of_range(tmp_path, changes, message):
    save(tmp_path / "a.png")
    with pytest.raises(GhostifyError, match=message):
        read(**{"calibration": tmp_path} | changes)


def test_one_image_at_a_time(tmp_path):
    for name in ("a.png", "b.png"):
        save(tmp_path / name)
    assert [len(batch) for batch in read_all(tmp_path, batch_size=1).batches] == [1, 1]
    assert [len(batch) for batch in read_all(tmp_path, images=1).batches] == [1]


def test_nothing_there(tmp_path):
    (tmp_path / ".hidden.png").touch()
    with pytest.raises(GhostifyError, match=r"holds no images: 1 skipped: hidden \(.hidden.png"):
        read(tmp_path)


def test_a_loader_in_the_order_of_classes_gives_images_of_all(tmp_path):
    (tmp_path / "sorted.py").write_text(
        "import torch\nfrom torch.utils.data import DataLoader, TensorDataset\n\n\n"
        "def loader():\n"
        "    classes = torch.arange(10).repeat_interleave(20)\n"
        "    images = classes[:, None, None, None].expand(200, 3, 8, 8).float()\n"
        "    return DataLoader(TensorDataset(images, classes), 16)\n"
    )
    images = images_of(read(f"{tmp_path / 'sorted.py'}:loader", images=40))
    assert len(images) == 40
    assert set(images[:, 0, 0, 0].tolist()) == set(range(10))
