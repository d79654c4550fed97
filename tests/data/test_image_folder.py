import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from ghostify import GhostifyError
from ghostify.data import load_images
from ghostify.data.image_folder import choose

PLAIN = {"input_size": (3, 8, 8), "mean": (0.0,) * 3, "std": (1.0,) * 3}


def save(path, size=(12, 10), colour=(255, 0, 0)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def truncate(path):
    Image.frombytes("RGB", (64, 64), os.urandom(64 * 64 * 3)).save(path)
    path.write_bytes(path.read_bytes()[:2000])


def test_images_of_all_kinds_in_order(tmp_path):
    for number, name in enumerate(["a/1.JPG", "a/2.png", "b/c/3.webp", "d.bmp", "e.tif", "f.jpeg"]):
        save(tmp_path / name, colour=(40 * number,) * 3)
    (tmp_path / "labels.csv").write_text("no image")
    save(tmp_path / ".hidden.png")
    save(tmp_path / ".cache" / "x.png")
    loaded = load_images(tmp_path, **PLAIN)
    assert loaded.skipped == ()
    assert loaded.images.dtype == torch.float32
    assert loaded.images.shape == (6, 3, 8, 8)
    assert (loaded.images[:, 0, 4, 4] * 255 / 40).round().tolist() == [0, 1, 2, 3, 4, 5]


def test_normalised(tmp_path):
    save(tmp_path / "red.png")
    images = load_images(
        tmp_path, input_size=(3, 4, 4), mean=(0.5, 0.5, 0.0), std=(0.5, 1.0, 1.0)
    ).images
    assert images[0, :, 0, 0].tolist() == [1.0, -0.5, 0.0]


def test_broken_images_are_skipped_and_named(tmp_path):
    save(tmp_path / "good.png")
    save(tmp_path / "z.png", colour=(0, 255, 0))
    truncate(tmp_path / "cut.jpg")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "text.png").write_text("hello")
    (tmp_path / "empty.png").touch()
    loaded = load_images(tmp_path, **PLAIN)
    assert loaded.images[:, :, 0, 0].tolist() == [[1, 0, 0], [0, 1, 0]]
    cut, empty, text = loaded.skipped
    assert cut.startswith("cut.jpg: ")
    assert "truncated" in cut
    assert (empty, text) == ("empty.png: not an image", f"{Path('sub/text.png')}: not an image")


def test_all_broken(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(GhostifyError, match="can be read, first text.png: not an image"):
        load_images(tmp_path, **PLAIN)


def test_one_image(tmp_path):
    save(tmp_path / "one.png")
    assert load_images(tmp_path / "one.png", **PLAIN).images.shape == (1, 3, 8, 8)


def test_progress(tmp_path):
    for name in "ab":
        save(tmp_path / f"{name}.png")
    seen = []
    load_images(tmp_path, **PLAIN, progress=lambda *numbers: seen.append(numbers))
    assert seen == [(1, 2), (2, 2)]


def test_the_limit_is_spread_over_folders():
    files = [
        Path(f"{folder}/{n}.png")
        for folder, size in (("a", 50), ("b", 9), ("c", 2))
        for n in range(size)
    ]
    chosen = choose(files, 12, seed=0)
    counts = {folder: sum(f.parent.name == folder for f in chosen) for folder in "abc"}
    assert counts == {"a": 5, "b": 5, "c": 2}
    assert chosen == sorted(chosen) == choose(files, 12, seed=0)
    assert chosen != choose(files, 12, seed=1)
    assert choose(files, 100, seed=0) == files


def test_fewer_images_than_folders():
    files = [Path(f"{n}/x.png") for n in range(20)]
    assert len(choose(files, 3, seed=0)) == 3


def test_a_tensor_file_is_limited_too(tmp_path):
    torch.save(torch.arange(20.0).view(20, 1, 1, 1).expand(20, 3, 8, 8), tmp_path / "x.pt")
    images = load_images(tmp_path / "x.pt", **PLAIN, limit=5).images[:, 0, 0, 0].tolist()
    assert len(set(images)) == 5
    assert images == sorted(images)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_size": (8,)}, "channels x height x width, the model's input is 8$"),
        ({"mean": (0.0,)}, "mean: 1 numbers for 3 channels"),
        ({"std": (1.0, 1.0, 0.0)}, "std: give numbers above 0"),
        ({"interpolation": "nearest"}, "interpolation='nearest'"),
        ({"crop": 0.0}, "crop=0.0"),
        ({"crop": float("nan")}, "crop=nan"),
        ({"limit": 0}, "limit=0"),
        ({"input_size": (4, 8, 8), "mean": (0,) * 4, "std": (1,) * 4}, "1 or 3 channels, .* 4"),
    ],
)
def test_arguments_out_of_range(tmp_path, changes, message):
    save(tmp_path / "a.png")
    with pytest.raises(GhostifyError, match=message):
        load_images(tmp_path, **(PLAIN | changes))


def test_nothing_there(tmp_path):
    with pytest.raises(GhostifyError, match="no file or folder"):
        load_images(tmp_path / "nowhere", **PLAIN)
    with pytest.raises(GhostifyError, match="holds no images"):
        load_images(tmp_path, **PLAIN)
