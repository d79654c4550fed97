"""``--outputs``, and what commands say of a regressor."""

import json

import pytest

REGRESSOR = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

def build():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4),
    )
    network(torch.randn(32, 3, 16, 16))
    return network.eval()

def data():
    images = torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    points = 8 * images[:, 0, :2, :2].flatten(1) + 8
    return [DataLoader(TensorDataset(images[a:b], points[a:b]), 16) for a, b in ((0, 40), (40, 64))]

def calibration():
    return data()[0]
"""
MODEL = ["--model", "points.py:build", "--input", "3x16x16"]
DATA = ["--data", "points.py:data"]
TAKEN = (
    "outputs: values (the labels are numbers); --outputs classes or multilabel if they are logits"
)


@pytest.fixture
def out(run, tmp_path):
    (tmp_path / "points.py").write_text(REGRESSOR)
    made = run("convert", "points.py:build", "--input", "3x16x16",
               "--calibration", "points.py:calibration", "--out", "out")  # fmt: skip
    assert made.code == 0, made.err
    assert "outputs: values (their sums are trained, unlike those of logits); --" in made.err
    return "out"


def test_a_regressor_has_no_top1(run, out):
    result = run("evaluate", out, *MODEL, *DATA)
    assert result.code == 0, result.err
    headings = next(line for line in result.out.splitlines() if line.startswith("network"))
    assert headings.split()[:5] == ["network", "MACs", "params", "MAE", "R²"]
    for word in ("top-1", "agree", "KL"):
        assert word not in result.out
    assert "Outputs: values (the labels are numbers)." in result.out
    assert "MAE: mean absolute error, in the units of the values." in result.out


def test_recover_says_what_the_outputs_are_before_it_trains(run, out):
    pytest.importorskip("accelerate")
    lines = run("recover", out, *MODEL, *DATA, "--epochs", "1").err.splitlines()
    epoch = next(line for line in lines if line.startswith("epoch 1"))
    assert lines.index(TAKEN) < lines.index(epoch)
    assert "held out: MAE" in epoch
    assert "top-1" not in epoch


def test_the_users_word_counts_and_is_remembered(run, out):
    result = run("evaluate", out, *MODEL, *DATA, "--outputs", "classes")
    assert "agree" in result.out
    made = run("convert", "points.py:build", "--input", "3x16x16", "--out", "said",
               "--calibration", "points.py:calibration", "--outputs", "multilabel")  # fmt: skip
    assert "outputs: multilabel (as given)\n" in made.err
    found = run("compare", "said", *MODEL, "--data", "points.py:calibration", "--format", "json")
    assert json.loads(found.out)["fidelity"]["score"]["kl"] is not None


def test_a_word_that_is_none(fails, out):
    said = fails("evaluate", out, *MODEL, *DATA, "--outputs", "logits")
    assert "--outputs (='logits') must be one of classes, multilabel, values" in said
