"""``ghostify evaluate``"""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from ghostify.io.measurements import recorded

NET = """
from torch import nn

def build():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 6),
    )
"""
LABELED = ["--model", "classes.py:build", "--input", "3x16x16"]


@pytest.fixture
def data(run, tmp_path):
    """Four pictures of each of six shades, and one that is broken."""
    (tmp_path / "classes.py").write_text(NET)
    for number in range(24):
        shade = number // 4
        file = tmp_path / "shades" / f"{shade}" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 40, (16, 16, 3)) + 40 * shade
        Image.fromarray(pixels.astype(np.uint8)).save(file)
    (tmp_path / "shades" / "0" / "broken.png").write_bytes(b"no picture")
    return "shades"


@pytest.fixture
def weights(data, tmp_path, as_trained):
    sys.path.insert(0, str(tmp_path))
    from classes import build

    torch.save(as_trained(build()).state_dict(), "classes.pt")
    return ["--weights", "classes.pt"]


@pytest.fixture
def out(run, weights):
    result = run("convert", "classes.py:build", "--input", "3x16x16", *weights, "--out", "out")
    assert result.code == 0, result.err
    return "out"


def evaluate(run, *arguments):
    result = run("evaluate", *arguments, "--held-out", "1", "--format", "json")
    assert result.code == 0, result.err
    return json.loads(result.out)["rows"]


def test_a_conversion_beside_its_original(run, data, out, weights, tmp_path):
    result = run("evaluate", out, *LABELED, *weights, "--data", data, "--held-out", "1")
    assert result.code == 0, result.err
    assert "classes.py:build on shades: 24 images\n" in result.out
    assert "--held-out" not in result.err  # recover needs images to train on
    assert "1 skipped: not an image (0/broken.png)" in result.err
    assert max(map(len, result.out.splitlines())) <= 80
    rows = {line.split()[0]: line.split() for line in result.out.splitlines() if line}
    assert rows["original"][6:] == ["100.00%", "0", "0.00%"]
    (stored,) = recorded(tmp_path / out, "evaluation")
    assert list(stored["rows"]) == ["original", "converted"]
    assert stored["rows"]["converted"]["score"]["images"] == 24


def test_the_images_that_are_scored(run, data, out, weights, tmp_path):
    """All of them, until the network was calibrated or trained on some."""
    assert "on shades: 24 images\n" in run("evaluate", out, *LABELED, "--data", data).out
    fitted = run("convert", *LABELED[1:], *weights, "--calibration", data, "--out", "fitted")
    assert fitted.code == 0, fitted.err
    recovered = run("recover", out, *LABELED, "--data", data, "--epochs", "4", "--lr", "1e-3")
    assert "Saved to out-recovered" in recovered.err
    for folder in ("fitted", "out-recovered"):
        found = run("evaluate", folder, *LABELED, "--data", data)
        assert "on shades: 5 images held out from the training set\n" in found.out
        found = run("evaluate", folder, *LABELED, "--data", data, "--held-out", "1")
        assert "on shades: 24 images, some of them seen in training\n" in found.out
        assert "so that its score is too high" in found.err


def test_scores_are_those_of_the_verb(run, data, out, weights, tmp_path):
    from classes import build

    import ghostify

    found = evaluate(run, out, *LABELED, *weights, "--data", data)
    original = build()
    original.load_state_dict(torch.load("classes.pt"))
    ghost = ghostify.load(out, original)
    opened = ghostify.open_data(
        data, original, ghostify.types.ModelSource("classes.py:build", {}, (3, 16, 16)), held_out=1
    )
    score = ghostify.evaluate(ghost, opened, teacher=original)
    assert ghostify.types.Score(**found["converted"]["score"]) == score
    assert found["converted"]["macs"] < found["original"]["macs"]
    assert found["original"]["score"]["top1"] == ghostify.evaluate(original, opened).top1


def test_an_artifact_remembers_how_images_are_normalized(run, data, weights):
    from classes import build

    import ghostify

    run("convert", *LABELED[1:], *weights, "--normalize", "0.2/0.1,0.2,0.3", "--out", "out")
    ghost = ghostify.load("out", build())
    for more, mean, std in (
        ([], (0.2,), (0.1, 0.2, 0.3)),
        (["--normalize", "0/1"], (0.0,), (1.0,)),
    ):
        opened = ghostify.open_data(
            data,
            ghost,
            ghostify.types.ModelSource("classes.py:build", {}, (3, 16, 16)),
            held_out=1,
            preprocessing=ghostify.types.Preprocessing(mean, std),
        )
        found = evaluate(run, "out", "--model", "classes.py:build", "--data", data, *more)
        assert found["converted"]["score"]["loss"] == ghostify.evaluate(ghost, opened).loss


def test_weights_that_are_gone_are_named(run, data, out, tmp_path):
    (tmp_path / "classes.pt").rename(tmp_path / "moved.pt")
    result = run("evaluate", out, *LABELED, "--data", data)
    assert "converted from the weights in classes.pt (SHA-256 " in result.err
    assert result.err.splitlines()[1].endswith("which is not there: pass --weights FILE")
    alone = run("evaluate", out, *LABELED, "--data", data, "--format", "json")
    assert list(json.loads(alone.out)["rows"]) == ["converted"]
    found = evaluate(run, out, *LABELED, "--weights", "moved.pt", "--data", data)
    assert list(found) == ["original", "converted"]


def test_other_weights_are_refused(fails, data, out, tmp_path):
    from classes import build

    torch.save(build().state_dict(), tmp_path / "other.pt")
    said = fails("evaluate", out, *LABELED, "--weights", "other.pt", "--data", data)
    assert "other.pt appears to be randomly initialized" in said


def test_without_labels(run, data, out):
    found = evaluate(run, out, *LABELED, "--data", data, "--no-labels", "--outputs", "classes")
    assert found["converted"]["score"]["top1"] is None
    assert 0 <= found["converted"]["score"]["agreement"] <= 1
    assert found["original"]["score"]["agreement"] == 1


def test_a_network_that_is_no_folder(run, data, weights):
    found = evaluate(run, "classes.py:build", "--input", "3x16x16", *weights, "--data", data)
    assert list(found) == ["original"]


def test_as_a_program_reads_it(run, data, out):
    result = run("evaluate", out, *LABELED, "--data", data, "--format", "csv")
    assert result.out.startswith("network,macs,params,images,top1,top5,")
    assert len(result.out.splitlines()) == 3


def test_what_cannot_be_evaluated(fails, data, out, weights):
    said = fails(
        "evaluate", "classes.py:build", "--input", "3x16x16", "--data", data, "--no-labels"
    )
    assert "name labeled images, or a converted network whose original has" in said
    own = ["evaluate", out, *LABELED]
    assert "did you mean digits" in fails(*own, "--data", "digit")
    assert "10 classes, but the network has 6" in fails(*own, "--data", "digits")
    assert "has no validation images" in fails(*own, "--data", data, "--held-out", "0")
    assert "--device (='tpu9') is not available" in fails(*own, "--data", data, "--device", "tpu9")
