from pathlib import Path

import pytest
from PIL import Image

from ghostify.data.images import decode_file, find_images, image_suffixes, summarize_skipped


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


def test_no_other_program_decodes(tmp_path):
    """PIL would hand PostScript to Ghostscript, whatever the suffix."""
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n")
    with pytest.raises(OSError, match="cannot identify"):
        decode_file(tmp_path / "x.png", "RGB")


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert decode_file(tmp_path / "x.gif", "RGB").getpixel((0, 0))[0] > 200


def test_the_summary_names_the_first_of_each_reason():
    skipped = {f"{n}.txt": "not an image" for n in range(5)} | {".DS_Store": "hidden"}
    assert summarize_skipped(skipped) == (
        "6 skipped: not an image (0.txt, 1.txt, 2.txt and 2 more), hidden (.DS_Store)"
    )
