"""Progress bars on the terminal."""

import sys

import pytest

from ghostify.deployment.exporters import quiet
from ghostify.io import progress
from ghostify.types.progress import Progress


def test_a_bar_is_shown_while_a_library_is_silenced(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with progress.progress_bar("calibrating", True) as report:
        capsys.readouterr()
        with quiet():
            report(3, 7, "now")
            progress._running[-1].refresh()
            print("a library speaks", file=sys.stderr)
    shown = capsys.readouterr().err
    assert "calibrating now" in shown
    assert "a library speaks" not in shown


def test_control_characters_of_names_are_shown_as_escapes(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with progress.progress_bar("converting", True) as report:
        report(3, 7, "conv\x1b]0;owned\x07")
        progress._running[-1].refresh()
    shown = capsys.readouterr().err
    assert "conv\\u001b]0;owned\\u0007" in shown
    assert "\x1b]0" not in shown


def test_names_are_no_markup(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with progress.progress_bar("calibrating", True) as report:
        report(1, 2, "layers[red]")
        progress._running[-1].refresh()
    assert "layers[red]" in capsys.readouterr().err


def test_a_bar_within_a_bar_is_one_more_line():
    with progress.progress_bar("outer", True) as outer:
        bars = progress._running[-1]
        with progress.progress_bar("inner", True) as inner:
            outer(1, 2)
            inner(3, 4, "now")
            assert [(t.description, t.completed, t.total) for t in bars.tasks] == [
                ("outer", 1, 2), ("inner now", 3, 4)
            ]  # fmt: skip
        assert [task.description for task in bars.tasks] == ["outer"]
    assert progress._running == []


def test_a_function_is_called_instead():
    seen = []
    with progress.progress_bar("exporting", seen.append) as report:
        report(1)
        report(2, 3, "now")
    assert seen == [Progress("exporting", 1), Progress("exporting", 2, 3, "now")]


@pytest.mark.parametrize(("shown", "rank"), [(False, "0"), (True, "1")])
def test_nothing_is_shown(monkeypatch, shown, rank):
    monkeypatch.setenv("RANK", rank)
    assert progress.is_main_process() == (rank == "0")
    with progress.progress_bar("exporting", shown) as report:
        assert report is progress.silent
        assert progress._running == []
