"""Killed at any moment, a command loses nothing; run again, it leaves no litter."""

import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import ghostify
from ghostify import Artifact

KILLS = 25

NET = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    )
    with torch.no_grad():
        network(torch.randn(32, 3, 8, 8))
        network[-1].weight.mul_(10)
    return network
"""

MODEL = ["net.py:build", "--input", "3x8x8"]
RECOVER = [
    "recover", "out", "--model", *MODEL, "--data", "images.pt", "--batch-size", "8",
    "--epochs", "2", "--lr", "0.004", "--checkpoint-minutes", "0", "--device", "cpu",
]  # fmt: skip
COMMANDS = {
    "convert": ["convert", *MODEL, "--ratio", "4", "-o", "out", "--force"],
    "convert to a new folder": ["convert", *MODEL, "--ratio", "4", "-o", "new"],
    "recover": [*RECOVER, "-o", "out-recovered"],
    "recover again": [*RECOVER, "-o", "before", "--force"],
    "export": ["export", "out", "--model", *MODEL, "-o", "net.pt2", "--force"],
    "report": ["report", "out"],
}
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree")


def count_changes(folder, at):
    """Count what this process changes in a folder, and end it at one of the changes.

    Returns:
        A list whose only entry is the number of changes so far.
    """
    done = [0]

    def hook(event, arguments):
        if event == "open":
            path, _, flags = arguments
            changes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        else:
            changes, path = event in CHANGES, arguments[0] if arguments else None
        if not changes or isinstance(path, int):
            return
        if os.path.abspath(os.fsdecode(path)).startswith(str(folder)):  # noqa: PTH100
            done[0] += 1
            if done[0] == at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return done


def run(arguments, folder, at=0):
    """Run a command in a folder, in a fork that is killed at a change of the folder.

    Returns:
        The exit code, and the number of changes if it was not killed.
    """

    def command():
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        sys.argv = ["ghostify", *arguments]
        with (folder.parent / "log").open("w") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        done, code = count_changes(folder, at), 0
        try:
            from ghostify.cli import main

            main()
        except SystemExit as stop:
            code = stop.code or 0
        theirs.send((code, done[0]))

    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=command)
    process.start()
    theirs.close()
    with contextlib.suppress(EOFError):
        code, changes = ours.recv()
        process.join()
        assert code == 0, (folder.parent / "log").read_text()
        return code, changes
    process.join()
    return process.exitcode, 0


def files(folder):
    """The names of all files, hidden ones included."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    return {name for name in found if "__pycache__" not in name}


def weights(folder):
    found = load_file(folder / "model.safetensors")
    return {name: tensor.tolist() for name, tensor in found.items()}


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """A folder with a network, images, two artifacts with measurements, and files of the user."""
    folder = tmp_path / "begin"
    folder.mkdir()
    (folder / "net.py").write_text(NET)
    torch.save(torch.randn(40, 3, 8, 8), folder / "images.pt")
    (folder / "net.pt2").write_bytes(b"an export")
    for name in ("out", "before"):
        run(["convert", *MODEL, "-o", name], folder)
        run(["compare", name, "--model", *MODEL], folder)
        run(["report", name], folder)
        (folder / name / "notes.txt").write_text("mine")
        (folder / name / "measurements" / "mine.txt").write_text("mine")
    monkeypatch.syspath_prepend(str(folder))
    return folder


def check_nothing_lost(before, now, after):
    """Check that every file of the user, and every artifact, is as before or as it will be."""
    network = __import__("net").build()
    for name in ("out", "before"):
        assert (now / name / "notes.txt").read_text() == "mine"
        assert (now / name / "measurements" / "mine.txt").read_text() == "mine"
        artifact = Artifact(now / name, network)
        assert artifact.model is not None  # its checksums are right
        assert weights(now / name) in (weights(before / name), weights(after / name))
        assert (now / name / "report.html").read_text().endswith("</html>")
        assert artifact.recorded("costs") or weights(now / name) != weights(before / name)
    for name in ("new", "out-recovered"):
        if (now / name / "ghostify.json").exists():
            assert weights(now / name) == weights(after / name)
            assert ghostify.load(now / name, network) is not None
    known = [(folder / "net.pt2").read_bytes()[:2] for folder in (before, after)]
    assert (now / "net.pt2").read_bytes()[:2] in known


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_is_lost(begin, tmp_path, name):
    arguments = COMMANDS[name]
    after = Path(shutil.copytree(begin, tmp_path / "after"))
    _, changes = run(arguments, after)
    assert changes > 3
    draw = random.Random(name)
    for _ in range(min(KILLS, changes)):
        now, at = tmp_path / "now", draw.randint(1, changes)
        shutil.copytree(begin, now)
        assert run(arguments, now, at)[0] == -signal.SIGKILL, at
        check_nothing_lost(begin, now, after)
        again = arguments
        if name.startswith("recover") and list(now.glob("*/recovery/checkpoint-*")):
            again = [*arguments, "--resume"]
        if (now / "new").exists():
            again = [*arguments, "--force"]
        run(again, now)
        assert files(now) == files(after), at
        for folder in ("out", "before", "new", "out-recovered"):
            if (after / folder).exists():
                assert weights(now / folder) == weights(after / folder), at
        shutil.rmtree(now)
