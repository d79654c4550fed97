"""``ghostify compress``"""

import re
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from ghostify.compression import trial_runner
from ghostify.io.recipe import read_recipe

pytest.importorskip("accelerate")

ARGUMENTS = ("compress", "classes.py:build", "--input", "3x16x16", "--data", "shades",
             "--minutes", "0.005")  # fmt: skip


@pytest.fixture(autouse=True)
def quick(shades, monkeypatch):
    monkeypatch.setattr("ghostify.compression.compress._TIMING", 0.1)
    ticks = count()  # each trial takes 0.3 seconds, however busy the machine is
    clock = SimpleNamespace(perf_counter=lambda: 0.3 * next(ticks))
    monkeypatch.setattr(trial_runner, "time", clock)


def lines_with(text, stream):
    return [line for line in stream.splitlines() if text in line]


def test_trials_come_one_by_one_and_end_as_a_table(run):
    result = run(*ARGUMENTS[:-1], "0.05", "--max-drop", "100")
    assert result.code == 0, result.err
    (heading,) = lines_with("budget ", result.err)
    assert re.fullmatch(r"budget +MACs +params +top-1 +drop +trained", heading)
    rows = lines_with("macs=", result.err)
    assert len(rows) == len(lines_with("macs=", result.out)) > 1
    assert len({len(line) for line in (heading, *rows)}) == 1
    assert len(lines_with("(saved)", result.out)) == 1
    gained, lost = result.out.splitlines()[-2:]
    assert gained.startswith("Gained: ")
    assert lost.startswith("Lost: ")
    last = result.err.splitlines()[-1]
    assert last.startswith("Saved to classes-compressed. To ")
    assert read_recipe(Path("classes-compressed")).seen
    if find_spec("onnxruntime"):
        assert last.endswith("--runtime onnxruntime --out classes-compressed-onnxruntime")


def test_ctrl_c_keeps_what_was_tried(run, monkeypatch):
    convert = trial_runner.convert

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(trial_runner, "convert", interrupted)
    result = run(*ARGUMENTS, "--out", "small")
    assert result.code == 130
    assert result.err.splitlines()[-1] == (
        "Interrupted; small holds what was tried. To continue, repeat with --resume."
    )
    monkeypatch.setattr(trial_runner, "convert", convert)
    result = run(*ARGUMENTS, "--out", "small", "--resume")
    assert result.code == 0, result.err
    assert len(lines_with("original ", result.err)) == 1


def test_ctrl_c_before_anything_was_tried(run, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("ghostify.compression.compress.find_outputs", interrupted)
    result = run(*ARGUMENTS, "--out", "small")
    assert result.code == 130
    assert result.err.splitlines()[-1] == "Interrupted; nothing was saved."


def test_a_wish_that_was_not_met_suggests_more_time(run):
    result = run(*ARGUMENTS, "--max-drop", "1e-9", "--no-labels", "--outputs", "values")
    assert result.code == 0, result.err
    assert "this is the nearest" in result.out
    assert result.err.splitlines()[-1].endswith("--minutes 0.01 --resume")


def test_a_random_network_is_refused(fails, net):
    line = fails("compress", *net, "--data", "shades")
    assert line == "error: net.py:build has random weights: add --weights or --pretrained"


def test_a_budget_with_a_drop_is_refused(fails):
    line = fails(*ARGUMENTS, "--budget", "macs=0.5", "--max-drop", "1")
    assert line == "error: --budget and --max-drop exclude each other: leave one out"
