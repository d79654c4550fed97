"""What a process that is killed at any moment leaves, and what the next one makes of it."""

import os
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from ghostify.io.atomic import RECIPE, check_new, check_target, new_files, new_folder, write_text
from ghostify.io.lock import lock
from ghostify.io.staging import finish, settle

STEPS = ("os.mkdir", "os.rename", "os.replace", "os.rmdir", "os.chmod", "os.fsync", "shutil.rmtree")


class Killed(BaseException):
    """Nothing that comes after it is done."""


def kill_at(step, monkeypatch):
    """Let the process end at the ``step``-th change of the file system."""
    done = count()

    def dying(change):
        def run(*args, **options):
            if next(done) >= step:
                raise Killed
            return change(*args, **options)

        return run

    for name in STEPS:
        module, _, function = name.partition(".")
        monkeypatch.setattr(name, dying(getattr(__import__(module), function)))


def tree(folder):
    return {str(f.relative_to(folder)): f.read_text() for f in folder.rglob("*") if f.is_file()}


def write_net(path):
    with new_files(path / "net.xml") as file:
        file.write_text("new")
        file.with_suffix(".bin").write_text("new")


def write_artifact(path):
    with new_folder(path / "out") as folder:
        (folder / RECIPE).write_text("new")
        (folder / "weights").write_text("new")


def write_one(path):
    write_text(path / "one.txt", "new")


@pytest.mark.parametrize(
    ("write", "names", "check"),
    [
        (write_net, ["net.bin", "net.xml"], lambda p: check_new(p / "net.xml", force=True)),
        (write_artifact, [f"out/{RECIPE}", "out/weights"],
         lambda p: check_target(p / "out", force=True)),
        (write_one, ["one.txt"], lambda p: check_new(p / "one.txt", force=True)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("others", [None, {"mine.txt": "mine", "out/measurements/a.json": "mine"}])
def test_killed_at_every_step(tmp_path, monkeypatch, write, names, check, others):
    seen = set()
    for step in count():
        path = tmp_path / str(step)
        old = {} if others is None else dict.fromkeys(names, "old") | others
        path.mkdir()
        for name, text in old.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(text)
        with monkeypatch.context() as patch:
            kill_at(step, patch)
            try:
                write(path)
            except Killed:
                ended = False
            else:
                ended = True
        check(path)
        found = tree(path)
        new = old | dict.fromkeys(names, "new")
        assert found in (old, new), f"killed at step {step}"
        seen.add(found == new)
        if ended:
            break
        write(path)
        assert tree(path) == new
    assert found == new
    assert seen == {True, False}


def test_litter_of_the_living_and_of_others_stays(tmp_path):
    ours, living, other, theirs = (
        tmp_path / name
        for name in (".a.1.ghostify-new", ".a.2.ghostify-new", ".b.1.ghostify-new", ".a.backup")
    )
    for folder in (ours, living, other, theirs):
        folder.mkdir()
    with lock(living):
        settle(tmp_path / "a")
        assert sorted(tmp_path.iterdir()) == sorted([living, other, theirs])
    settle(tmp_path / "a")
    assert sorted(tmp_path.iterdir()) == sorted([other, theirs])


@pytest.mark.parametrize("name", ["a[1]", "*", "ü"])
def test_names_are_no_patterns(tmp_path, name):
    for each in (name, "a1"):
        (tmp_path / f".{each}.1.ghostify-new").mkdir()
    settle(tmp_path / name)
    assert [folder.name for folder in tmp_path.iterdir()] == [".a1.1.ghostify-new"]


def test_what_a_link_names_is_left_alone(tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "a").write_text("theirs")
    out = tmp_path / "out"
    out.mkdir()
    for name in (".a.ghostify-complete", ".a.1.ghostify-new"):
        (out / name).symlink_to(theirs)
    finish(out / "a")
    settle(out / "a")
    assert not (out / "a").exists()
    assert tree(theirs) == {"a": "theirs"}


def test_files_are_on_the_disk_before_they_take_their_places(tmp_path, monkeypatch):
    done = []
    fsync = os.fsync
    for name in ("rename", "replace"):
        change = getattr(os, name)
        monkeypatch.setattr(
            f"os.{name}",
            lambda a, b, change=change: (done.append(Path(b).name), change(a, b)),
        )
    monkeypatch.setattr("os.fsync", lambda fd: (done.append("sync"), fsync(fd)))
    write_text(tmp_path / "a", "text")
    assert done == ["sync", "sync", "a", "sync"]


def test_a_disk_that_fails_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("old")

    def fail(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="Input/output error: '.*/a'"):
        write_text(tmp_path / "a", "new")
    assert tree(tmp_path) == {"a": "old"}


def test_killed_before_the_folder_is_locked(tmp_path, monkeypatch):
    def dying(folder):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("ghostify.io.staging.lock", dying)
        with pytest.raises(Killed):
            write_one(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    write_one(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["one.txt"]


@pytest.mark.parametrize("how", ["removed", "locked"])
def test_a_folder_that_another_process_takes_for_a_leftover_is_made_again(
    tmp_path, monkeypatch, how
):
    taken = []

    @contextmanager
    def late(folder):
        if taken or not folder.name.startswith(".one.txt."):
            with lock(folder) as free:
                yield free
            return
        taken.append(folder)
        with lock(folder):
            if how == "removed":
                folder.rmdir()
            with lock(folder) as free:
                yield free
        folder.exists() and folder.rmdir()

    monkeypatch.setattr("ghostify.io.staging.lock", late)
    write_one(tmp_path)
    assert taken
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"one.txt": "new"}


def test_the_last_of_two_that_write_at_once(tmp_path):
    """The other one was killed after its files were complete."""
    with new_files(tmp_path / "net.xml") as file:
        file.write_text("last")
        file.with_suffix(".bin").write_text("last")
        other = tmp_path / ".net.xml.ghostify-complete"
        other.mkdir()
        for name in ("net.xml", "net.bin", "net.txt"):
            (other / name).write_text("other")
    assert tree(tmp_path) == {"net.xml": "last", "net.bin": "last", "net.txt": "other"}


def test_a_reader_may_have_moved_the_files(tmp_path, monkeypatch):
    replace = os.replace

    def moved_twice(source, target):
        replace(source, target)
        replace(source, target)

    monkeypatch.setattr("os.replace", moved_twice)
    with new_files(tmp_path / "net.xml") as file:
        file.write_text("new")
        file.with_suffix(".bin").write_text("new")
    assert tree(tmp_path) == {"net.xml": "new", "net.bin": "new"}


def test_the_file_that_was_named_moves_last(tmp_path, monkeypatch):
    """Whoever opens it finds the others."""
    moved = []
    replace = os.replace
    monkeypatch.setattr("os.replace", lambda a, b: (moved.append(Path(b).name), replace(a, b)))
    with new_files(tmp_path / "b") as file:
        for name in "cab":
            file.with_name(name).touch()
    assert sorted(moved) == ["a", "b", "c"]
    assert moved[-1] == "b"
