import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ghostify import GhostifyError
from ghostify.data.images import (
    decode_file,
    find_images,
    held_out_indices,
    image_suffixes,
    images_of_array,
    images_of_files,
    summarize_skipped,
)


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def find(folder):
    files, skipped = find_images(folder)
    return [str(file.relative_to(folder)) for file in files], skipped


def test_suffixes_are_those_that_pil_decodes():
    assert {".jpg", ".png", ".gif", ".jfif", ".avif", ".webp", ".tiff"} <= image_suffixes()
    assert not {".pdf", ".eps", ".mpg", ".h5"} & image_suffixes()


def test_all_that_is_skipped_has_a_reason(tmp_path):
    for name in ("b/2.GIF", "a.png", "b.png", "b/1.jpg", "b/c/3.avif"):
        touch(tmp_path / name)
    for name in (".hidden.png", "b/.cache/x.png", "__MACOSX/y.png", "b/labels.csv"):
        touch(tmp_path / name)
    (tmp_path / "z.png").symlink_to("nowhere.png")
    (tmp_path / "self.png").symlink_to("self.png")
    files, skipped = find(tmp_path)
    assert files == ["a.png", "b/1.jpg", "b/2.GIF", "b/c/3.avif", "b.png"]
    assert files == sorted(files, key=Path)
    assert skipped == {
        ".hidden.png": "hidden",
        "__MACOSX": "hidden",
        "b/.cache": "hidden",
        "b/labels.csv": "not an image",
        "self.png": "not a file",
        "z.png": "not a file",
    }


def test_linked_folders_are_followed_without_loops(tmp_path):
    touch(tmp_path / "elsewhere" / "1.png")
    (tmp_path / "images" / "a").mkdir(parents=True)
    (tmp_path / "images" / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "images" / "c").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "images" / "a" / "up").symlink_to(tmp_path / "images")
    files, skipped = find(tmp_path / "images")
    assert files == ["b/1.png", "c/1.png"]
    assert skipped == {"a/up": "link to a folder around it"}


@pytest.mark.parametrize("name", ["@eaDir", "lost+found", "$RECYCLE.BIN", "__pycache__"])
def test_folders_of_the_system_are_hidden(tmp_path, name):
    touch(tmp_path / name / "1.png")
    touch(tmp_path / "a.png")
    assert find(tmp_path) == (["a.png"], {name: "hidden"})


def test_a_folder_without_images(tmp_path):
    with pytest.raises(GhostifyError, match="holds no images$"):
        find(tmp_path)
    touch(tmp_path / "a.csv")
    with pytest.raises(GhostifyError, match=r"holds no images: 1 skipped: not an image \(a.csv\)"):
        find(tmp_path)


def test_only_regular_files_are_images(tmp_path):
    touch(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    assert find(tmp_path) == (["a.png"], {"pipe.png": "not a file", "zero.png": "not a file"})


@pytest.mark.parametrize(("size", "fits"), [((101, 1), False), ((1, 101), False), ((100, 1), True)])
def test_lines_are_no_images(tmp_path, size, fits):
    """To cover an input, a line of 30,000 pixels would take gigabytes."""
    Image.new("RGB", size).save(tmp_path / "x.png")
    if fits:
        assert decode_file(tmp_path / "x.png", "RGB").size == size
    else:
        with pytest.raises(ValueError, match="more than 100 times as long as wide"):
            decode_file(tmp_path / "x.png", "RGB")


@pytest.mark.parametrize(
    ("mode", "value", "seen"),
    [("L", 200, 200), ("I;16", 200 * 257, 200), ("I", 70_000, 255), ("I", -5, 0), ("1", 1, 255)],
)
def test_pixels_of_other_kinds(tmp_path, mode, value, seen):
    """Sixteen bits are scaled to eight, not clipped."""
    Image.new(mode, (4, 4), value).save(tmp_path / "x.tif")
    assert decode_file(tmp_path / "x.tif", "RGB").getpixel((1, 2)) == (seen,) * 3


def test_floating_point_pixels_are_refused(tmp_path):
    Image.new("F", (4, 4), 0.5).save(tmp_path / "x.tif")
    with pytest.raises(ValueError, match="floating-point pixels of unknown range"):
        decode_file(tmp_path / "x.tif", "RGB")


def test_images_are_turned_upright(tmp_path):
    image = Image.new("RGB", (4, 2))
    image.putpixel((0, 0), (255, 255, 255))
    image.getexif()[0x0112] = 6
    image.save(tmp_path / "x.png", exif=image.getexif())
    turned = decode_file(tmp_path / "x.png", "RGB")
    assert (turned.size, turned.getpixel((1, 0))) == ((2, 4), (255, 255, 255))


@pytest.mark.parametrize(
    ("labels", "share", "held"),
    [
        ([0] * 10, 0.1, 1), ([0] * 10, 0.26, 3), ([0] * 2, 0.1, 1), ([0], 0.5, 0), ([0], 1, 1),
        ([0] * 2, 0.99, 1), ([0] * 10, 0, 0), ([0] * 10, 1, 10), ([0, 1] * 10, 0.1, 2),
    ],
)  # fmt: skip
def test_held_out_images_of_each_class(labels, share, held):
    kept, chosen = held_out_indices(labels, share)
    assert len(chosen) == held
    assert sorted(kept + chosen) == list(range(len(labels)))
    assert kept == sorted(kept)
    assert chosen == sorted(chosen)
    assert len({labels[index] for index in chosen}) == min(held, len({*labels}))


def test_sizes_of_images(tmp_path):
    for name, size in {"a": (4, 2), "b": (4, 2)}.items():
        Image.new("RGB", size).save(tmp_path / f"{name}.png")
    touch(tmp_path / "broken.png")
    images = images_of_files(sorted(tmp_path.iterdir()), tmp_path)
    assert images.sizes() == {(2, 4)}
    Image.new("RGB", (4, 3)).save(tmp_path / "b.png")
    assert images.sizes() == {(2, 4), (3, 4)}
    array = images_of_array(np.zeros((3, 8, 6), np.uint8), [0, 1, 2], "x")
    assert array.sizes() == {(8, 6)}
    assert array.names == ["x[0]", "x[1]", "x[2]"]


def test_no_other_program_decodes(tmp_path):
    """PIL would hand PostScript to Ghostscript, whatever the suffix."""
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n")
    with pytest.raises(OSError, match="cannot identify"):
        decode_file(tmp_path / "x.png", "RGB")


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert decode_file(tmp_path / "x.gif", "RGB").getpixel((0, 0))[0] > 200


def test_the_summary_names_the_first_of_each_reason():
    skipped = {f"{n}.txt": "not an image" for n in range(5)} | {".DS_Store": "hidden"}
    assert summarize_skipped(skipped) == (
        "6 skipped: not an image (0.txt, 1.txt, 2.txt and 2 more), hidden (.DS_Store)"
    )
