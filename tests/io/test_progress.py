"""Progress bars on the terminal."""

import sys

from ghostify.deployment.exporters import quiet
from ghostify.io import progress


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
