"""Locks that end with their process."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from ghostify.io import lock as module
from ghostify.io.lock import lock


def test_one_at_a_time(tmp_path):
    with lock(tmp_path) as first, lock(tmp_path) as second:
        assert (first, second) == (True, False)
    with lock(tmp_path) as third:
        assert third


def test_it_ends_with_its_process(tmp_path):
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom ghostify.io.lock import lock\n"
        "with lock(Path(sys.argv[1])) as free:\n    print(free, flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"True\n"
        with lock(tmp_path) as free:
            assert not free
        child.kill()
        child.wait()
        with lock(tmp_path) as free:
            assert free


@pytest.mark.alone
def test_forks_do_not_prolong_it(tmp_path):
    def forked():
        with lock(tmp_path):
            if grandchild := os.fork():
                os.write(theirs, str(grandchild).encode())
            time.sleep(60)

    ours, theirs = os.pipe()
    child = multiprocessing.get_context("fork").Process(target=forked)
    child.start()
    grandchild = int(os.read(ours, 9))
    with lock(tmp_path) as free:
        assert free is False
    child.kill()
    child.join()
    with lock(tmp_path) as free:
        assert free is True
    os.kill(grandchild, signal.SIGKILL)


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def unknown(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(module.fcntl, "flock", unknown)
    with lock(tmp_path) as free:
        assert free is None
    monkeypatch.setattr(module, "fcntl", None)
    with lock(tmp_path) as free:
        assert free is None


def test_it_stays_when_the_folder_is_renamed(tmp_path):
    (tmp_path / "a").mkdir()
    with lock(tmp_path / "a"):
        (tmp_path / "a").rename(tmp_path / "b")
        with lock(tmp_path / "b") as free:
            assert not free


@pytest.mark.parametrize("make", ["nothing", "file", "link"])
def test_only_folders_are_locked(tmp_path, make):
    if make == "file":
        (tmp_path / "a").touch()
    elif make == "link":
        (tmp_path / "a").symlink_to(tmp_path)
    with lock(tmp_path / "a") as free:
        assert not free
