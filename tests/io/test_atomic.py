import os

import pytest

from ghostify import GhostifyError
from ghostify.io.atomic import (
    RECIPE,
    TRAINING,
    check_new,
    check_parent,
    check_target,
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


def test_a_failed_write_leaves_the_old_text(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.txt", "\ud800")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert listing(tmp_path) == ["a.txt"]


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


def test_a_failed_rename_puts_the_old_folder_back(tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").touch()
    rename = os.rename

    def fail(self, target):
        if (self / "new").exists():
            raise OSError("no")
        rename(self, target)
        return target

    monkeypatch.setattr("pathlib.Path.rename", fail)
    with pytest.raises(OSError, match="no"), new_folder(out) as folder:
        (folder / "new").touch()
    assert listing(tmp_path) == ["out"]
    assert listing(out) == ["old"]


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

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
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
