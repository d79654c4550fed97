import json
import os
import tempfile
from pathlib import Path

import pytest

from ghostify import GhostifyError
from ghostify.io.atomic import (
    MEASUREMENTS,
    RECIPE,
    TRAINING,
    WEIGHTS,
    check_new,
    check_parent,
    check_target,
    inside,
    new_files,
    new_folder,
    write_text,
)


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text_has_the_usual_permissions(tmp_path):
    write_text(tmp_path / "a.txt", "→")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "→"
    plain = tmp_path / "plain"
    plain.touch()
    assert (tmp_path / "a.txt").stat().st_mode == plain.stat().st_mode
    assert listing(tmp_path) == ["a.txt", "plain"]


def test_a_failed_write_leaves_the_old_text(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("old")

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", fail)
    with pytest.raises(OSError, match="No space left on device: '.*/a.txt'"):
        write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert listing(tmp_path) == ["a.txt"]


def test_names_that_are_not_utf8_are_escaped(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    write_text(tmp_path / "a.json", json.dumps({"name": name}, ensure_ascii=False))
    assert (tmp_path / "a.json").read_text() == '{"name": "caf\\udce9"}'


def test_a_folder_appears_when_it_is_complete(tmp_path):
    with new_folder(tmp_path / "deep" / "out") as folder:
        (folder / "a").write_text("a")
        assert not (tmp_path / "deep" / "out").exists()
    assert listing(tmp_path / "deep") == ["out"]
    assert listing(tmp_path / "deep" / "out") == ["a"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError])
def test_a_failure_leaves_the_old_folder(tmp_path, failure):
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").touch()

    def fill_half():
        with new_folder(out) as folder:
            (folder / "half").touch()
            raise failure

    with pytest.raises(failure):
        fill_half()
    assert listing(tmp_path) == ["out"]
    assert listing(out) == ["old"]


def test_new_files_take_the_place_of_old_ones_and_others_stay(tmp_path):
    for text in ("old", "new"):
        with new_folder(tmp_path / "out") as folder:
            (folder / "a").write_text(text)
        (tmp_path / "out" / "mine").touch()
    assert listing(tmp_path) == ["out"]
    assert listing(tmp_path / "out") == ["a", "mine"]
    assert (tmp_path / "out" / "a").read_text() == "new"


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with new_folder(tmp_path / "link") as folder:
        (folder / "a").touch()
    assert (tmp_path / "link").is_symlink()
    assert listing(tmp_path / "real") == ["a"]


def test_errors_name_the_file_not_a_temporary_one(tmp_path):
    with pytest.raises(OSError, match="nowhere/a.txt'$"):
        write_text(tmp_path / "nowhere" / "a.txt", "")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file/out'$"), new_folder(tmp_path / "file" / "out"):
        pass


@pytest.mark.parametrize("refused", ["rename", "replace"])
def test_a_failed_move_leaves_the_old_folder(tmp_path, monkeypatch, refused):
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").touch()

    def fail(*_):
        raise OSError(5, "no")

    def fill(names):
        with new_folder(out) as folder:
            for name in names:
                (folder / name).touch()
            monkeypatch.setattr(f"os.{refused}", fail)

    with pytest.raises(OSError, match=f"no: '{out}"):
        fill([RECIPE] if refused == "replace" else [RECIPE, "weights"])
    monkeypatch.undo()
    assert listing(tmp_path) == ["out"]
    assert listing(out) == ["old"]


def test_a_mounted_volume_keeps_its_place(tmp_path, monkeypatch):
    """Its folder can be neither renamed nor replaced, and the one around it may be read-only."""
    rename = os.rename
    out = tmp_path / "volume"
    out.mkdir()

    def fail_outside(source, target):
        if out not in (Path(source).parent, Path(target).parent):
            raise OSError(16, "Device or resource busy")
        rename(source, target)

    monkeypatch.setattr("os.rename", fail_outside)
    before = out.stat().st_ino
    check_target(out, force=True)
    for text in ("one", "two"):
        with new_folder(out) as folder:
            for name in (RECIPE, "weights"):
                (folder / name).write_text(text)
        assert {file.name: file.read_text() for file in out.iterdir()} == {
            RECIPE: text, "weights": text
        }  # fmt: skip
    assert out.stat().st_ino == before


def test_a_new_folder_has_the_usual_permissions(tmp_path):
    (tmp_path / "plain").mkdir()
    with new_folder(tmp_path / "out") as folder:
        (folder / "a").touch()
        (folder / "a").chmod(0o600)
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "plain" / "a").touch()
    assert (tmp_path / "out/a").stat().st_mode == (tmp_path / "plain/a").stat().st_mode


@pytest.mark.parametrize("names", [["a"], ["folder", "a"], [RECIPE]])
def test_links_in_an_artifact_are_not_written_through(tmp_path, names):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    artifact = tmp_path / "out"
    artifact.mkdir()
    assert inside(artifact, *names) == artifact.joinpath(*names)
    (artifact / names[0]).symlink_to(theirs)
    with pytest.raises(OSError, match=f"links in an artifact .*: '.*{names[0]}'"):
        inside(artifact, *names)


@pytest.mark.parametrize("name", [RECIPE, WEIGHTS, MEASUREMENTS, TRAINING])
def test_an_artifact_with_links_is_no_target(tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / RECIPE).touch()
    (tmp_path / "out" / name).unlink(missing_ok=True)
    (tmp_path / "theirs").touch()
    (tmp_path / "out" / name).symlink_to(tmp_path / "theirs")
    with pytest.raises(OSError, match="links in an artifact are not written through"):
        check_target(tmp_path / "out", force=True)


def test_a_file_may_be_named_by_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "text"


def test_targets(tmp_path):
    check_target(tmp_path / "free", force=False)
    with pytest.raises(GhostifyError, match="exists: pass `force=True`"):
        check_target(tmp_path, force=False)
    check_target(tmp_path, force=True)  # empty
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(GhostifyError, match="not a ghostify artifact"):
        check_target(tmp_path, force=True)
    (tmp_path / RECIPE).touch()
    check_target(tmp_path, force=True)
    with pytest.raises(GhostifyError, match="not a ghostify artifact"):
        check_target(tmp_path / "thesis.tex", force=True)


def test_new_files_take_their_places_together(tmp_path):
    (tmp_path / "net.bin").write_text("old")
    with new_files(tmp_path / "net.xml") as file:
        file.write_text("graph")
        file.with_suffix(".bin").write_text("weights")
        assert (tmp_path / "net.bin").read_text() == "old"
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "net.xml": "graph",
        "net.bin": "weights",
    }


def test_new_files_that_fail_leave_nothing(tmp_path):
    def write_half():
        with new_files(tmp_path / "net.xml") as file:
            file.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_new_files_in_a_missing_folder(tmp_path):
    with pytest.raises(OSError, match="none/net.xml"), new_files(tmp_path / "none/net.xml"):
        pass


def test_a_folder_with_a_training_alone_is_free(tmp_path):
    (tmp_path / "out" / TRAINING).mkdir(parents=True)
    check_target(tmp_path / "out", force=False)
    (tmp_path / "out" / "notes.txt").touch()
    with pytest.raises(GhostifyError, match="not a ghostify artifact"):
        check_target(tmp_path / "out", force=True)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied"), "you have no permission to write there"),
        (OSError(30, "Read-only file system"), "the file system is read-only"),
        (OSError(28, "No space left on device"), "the disk is full"),
    ],
)
def test_what_cannot_be_written_is_said_in_words(tmp_path, monkeypatch, error, reason):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    path = tmp_path / "deep" / "out"
    with pytest.raises(GhostifyError, match=f"cannot write .*out: {reason}"):
        check_target(path, force=False)
    for check in (check_parent, lambda file: check_new(file, force=False)):
        with pytest.raises(GhostifyError, match=f"cannot write .*out: {reason}"):
            check(tmp_path / "out")


def test_a_check_leaves_nothing(tmp_path):
    check_target(tmp_path / "deep" / "out", force=False)
    check_parent(tmp_path / "out.json")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(GhostifyError, match="a part of the path is a file"):
        check_target(tmp_path / "file" / "out", force=False)


@pytest.mark.parametrize(("name", "tried"), [("volume", "volume"), ("new", ""), ("a/b/new", "")])
def test_a_folder_that_is_there_is_tried_itself(tmp_path, monkeypatch, name, tried):
    """The one around a mounted volume may be read-only."""
    (tmp_path / "volume").mkdir()
    asked = []
    temporary_file = tempfile.TemporaryFile
    monkeypatch.setattr(
        "tempfile.TemporaryFile", lambda dir: (asked.append(dir), temporary_file(dir=dir))[1]
    )
    check_target(tmp_path / name, force=True)
    assert asked == [tmp_path / tried]
