"""The check for machines with a GPU runs on a CPU, too."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[2] / "examples" / "gpu" / "check.py"


def run(*arguments):
    command = [sys.executable, "-W", "ignore", CHECK, *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_all_checks_pass():
    done = run("--device", "cpu", "--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| recover, several processes | 2 of torchrun" in done.stdout
    assert "| compress | " in done.stdout
    assert "| compile, macs=0.5, batch 2 |" in done.stdout


def test_a_device_that_is_not_there():
    done = run("--device", "cuda:99")
    assert done.returncode == 1
    assert done.stderr == "`device` (='cuda:99') is not available: try cpu\n"


def test_a_check_that_fails_does_not_end_the_others(monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("check", CHECK)
    check = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "check", check)
    spec.loader.exec_module(check)

    def raising(bed):
        raise RuntimeError("out of memory")

    def good(bed):
        yield "third", ("4 ms", True)

    monkeypatch.setattr(check, "CHECKS", (raising, good))
    assert not check.run(None)
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| raising | out of memory | FAILED |",
        "| third | 4 ms | ok |",
    ]
    monkeypatch.setattr(check, "CHECKS", (good,))
    assert check.run(None)
