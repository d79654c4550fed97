"""``ghostify compress``"""

import re
from importlib.util import find_spec
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from ghostify.compression import trial_runner

pytest.importorskip("accelerate")

NET = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 6),
    )
    with torch.no_grad():
        network(torch.randn(32, 3, 16, 16))
        network[-1].weight.mul_(10)
    return network
"""
ARGUMENTS = ("compress", "classes.py:build", "--input", "3x16x16", "--data", "shades",
             "--minutes", "0.005")  # fmt: skip


@pytest.fixture(autouse=True)
def classes(run, tmp_path, monkeypatch):
    monkeypatch.setattr("ghostify.compression.compress._TIMING", 0.1)
    ticks = count()  # each trial takes 0.3 seconds, however busy the machine is
    clock = SimpleNamespace(perf_counter=lambda: 0.3 * next(ticks))
    monkeypatch.setattr(trial_runner, "time", clock)
    (tmp_path / "classes.py").write_text(NET)
    for number in range(60):
        file = tmp_path / "shades" / f"{number % 6}" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 60, (16, 16, 3)) + 30 * (number % 6)
        Image.fromarray(pixels.astype(np.uint8)).save(file)


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
    assert last.startswith("Saved to build-compressed. To ")
    if find_spec("onnxruntime"):
        assert last.endswith("--runtime onnxruntime --out build-compressed-onnxruntime")


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
    assert not lines_with("original ", result.err)


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
