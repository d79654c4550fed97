"""Ctrl-C ends with one line that says what was kept, exit code 130, and nothing half-written."""

import signal
import sys

import pytest
import torch

import ghostify
from ghostify import Artifact

CTRL_C = """
import signal, threading
from net import build as plain

def build():
    net = plain()
    def interrupt(*_):
        if threading.current_thread() is not threading.main_thread():
            signal.raise_signal(signal.SIGINT)
    net[2].register_forward_hook(interrupt)
    return net
"""


@pytest.fixture
def handlers():
    """Handlers of signals as a process begins with them."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupt(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyze"],
        ["convert", "--report", "report.md"],
        ["plan", "-o", "plan.json"],
        ["search", "-o", "plan.json", "--budget", "macs=0.5", "--calibration", "images.pt"],
        ["sensitivity", "-o", "sensitivity.json"],
        ["redundancy"],
        ["export"],
        ["benchmark", "-o", "times.json"],
        ["evaluate", "--data", "digits"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_command(run, net, tmp_path, monkeypatch, arguments):
    monkeypatch.setattr(ghostify.models, "build", interrupt)
    before = sorted(tmp_path.iterdir())
    result = run(arguments[0], *net, *arguments[1:])
    assert (result.code, result.out) == (130, "")
    assert result.err == "Interrupted; nothing was saved.\n"
    assert sorted(tmp_path.iterdir()) == before


class Interrupting:
    """Sends Ctrl-C while a module is imported."""

    def __init__(self, name):
        self.name = name

    def find_spec(self, name, *_):
        if name == self.name:
            raise KeyboardInterrupt


@pytest.mark.parametrize("module", ["ghostify.cli.app", "typer", "rich"])
def test_during_imports(monkeypatch, run, module):
    for name in [*sys.modules]:
        if name.startswith(("ghostify.cli.", module)):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(module), *sys.meta_path])
    result = run("--version")
    assert (result.code, result.out) == (130, "")
    assert result.err == "Interrupted; nothing was saved.\n"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_in_the_middle_of_a_calibration(run, tmp_path, name, handlers):
    (tmp_path / "ctrl_c.py").write_text(CTRL_C.replace("SIGINT", name))
    torch.save(torch.randn(20, 3, 16, 16), "images.pt")
    result = run("convert", "ctrl_c.py:build", "--input", "3x16x16", "--calibration", "images.pt")
    assert result.code == 130
    assert result.err.endswith("\nInterrupted; nothing was saved.\n")
    assert {path.name for path in tmp_path.iterdir()} <= {
        "__pycache__", "ctrl_c.py", "images.pt", "net.py"
    }  # fmt: skip


def test_a_hang_up_that_nohup_ignores_stays_so(run, handlers):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert run("--version").code == 0
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_after_saving(run, net, monkeypatch):
    monkeypatch.setattr(Artifact, "write_report", interrupt)
    result = run("convert", *net, "-o", "out", "--report", "report.html")
    assert (result.code, result.err) == (130, "Interrupted; out is saved.\n")


def test_plans_that_were_compared_are_remembered(run, net, monkeypatch, tensor):
    run("convert", *net, "-o", "out")
    monkeypatch.setattr(Artifact, "search", interrupt)
    result = run("search", "out", "--model", *net, "--budget", "macs=0.6", "--calibration", tensor)
    assert result.code == 130
    assert result.err.endswith(
        "\nInterrupted; out remembers the plans that were compared; none was written.\n"
    )
