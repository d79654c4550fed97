"""The example that trains the paper's ablations, on pictures of one color."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from ghostify import GhostifyError, GhostSpec

SCRIPT = Path(__file__).parents[2] / "examples" / "ablation.py"


@pytest.fixture(scope="module")
def ablation():
    spec = importlib.util.spec_from_file_location("ablation", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["ablation"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(ablation, tmp_path, monkeypatch):
    for color in ("red", "blue"):
        (tmp_path / "data" / color).mkdir(parents=True)
        for number in range(20):
            Image.new("RGB", (12, 12), color).save(tmp_path / "data" / color / f"{number}.png")

    def invoke(*arguments):
        options = [
            "--data", tmp_path / "data", "--model", "cifar_resnet20", "--width", 0.25,
            "--size", 8, "--seeds", "0,1", "--threads", torch.get_num_threads(),
            "--out", tmp_path / "out", "--ratios", "2,4", "--kernels", "1,3",
        ]  # fmt: skip
        monkeypatch.setattr(sys, "argv", ["ablation", *map(str, [*options, *arguments])])
        ablation.main()
        return tmp_path / "out"

    return invoke


def test_variants(ablation):
    assert ablation.variants([2.0, 3.0], [1, 3]) == [
        None, GhostSpec(2, 3), GhostSpec(3, 3), GhostSpec(2, 1),
    ]  # fmt: skip


def test_it_trains_writes_and_takes_up_again(run, capsys):
    pytest.importorskip("matplotlib", reason="Matplotlib is an extra")
    out = run("--epochs", "3")
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert [(r["ratio"], r["dw_size"]) for r in found[:4]] == [(None, None), (2, 3), (4, 3), (2, 1)]
    assert [r["seed"] for r in found] == [0] * 4 + [1] * 4
    dense, half, quarter, _ = (r["macs"] for r in found[:4])
    assert dense > half > quarter
    assert (out / "accuracy.png").stat().st_size > 1000
    assert "| 4 | 3 | " in (out / "table.md").read_text(encoding="utf-8")

    kept = out / "runs" / "s4-d3-seed1.json"
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"accuracy": 0.123}))
    (out / "runs" / "dense-seed0.json").unlink()
    capsys.readouterr()
    run("--epochs", "3")
    assert "s=4, d=3, seed 1: 12.3%" in capsys.readouterr().out
    assert (out / "runs" / "dense-seed0.json").exists()

    with pytest.raises(GhostifyError, match="was trained with .*'epochs': 3.*another --out"):
        run("--epochs", "4")


def test_training_learns_what_is_easy(ablation, monkeypatch):
    monkeypatch.setattr(ablation, "BATCH", 16)
    red = torch.full((64, 1, 8, 8), -0.5) + 0.1 * torch.randn(64, 1, 8, 8)
    images, classes = torch.cat([red, red + 1]), torch.tensor([0, 1]).repeat_interleave(64)
    settings = ablation.Settings("digits", 8, "cifar_resnet20", 0.25, 8)
    bed = ablation.Images(images, classes, images, classes)
    assert ablation.train_one(settings, GhostSpec(2, 3), 0, bed).accuracy > 0.95


def test_images_are_moved_on_black(ablation):
    images = torch.rand(50, 2, 16, 16)
    moved = ablation.varied(images, mirror=False)
    assert moved.shape == images.shape
    for before, after in zip(images, moved, strict=True):
        places = [
            torch.equal(after[:, max(-y, 0) : 16 - max(y, 0), max(-x, 0) : 16 - max(x, 0)],
                        before[:, max(y, 0) : 16 + min(y, 0), max(x, 0) : 16 + min(x, 0)])
            and (after == ablation.BLACK).sum() == 2 * (256 - (16 - abs(y)) * (16 - abs(x)))
            for y in range(-2, 3) for x in range(-2, 3)
        ]  # fmt: skip
        assert sum(places) == 1


def test_half_of_the_images_are_mirrored(ablation):
    torch.manual_seed(0)
    images = torch.arange(4.0).expand(400, 1, 4, 4)  # less than 8 pixels do not move
    moved = ablation.varied(images, mirror=True)
    mirrored = (moved[:, 0, 0, 0] == 3).sum().item()
    assert 150 < mirrored < 250
