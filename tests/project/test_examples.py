"""Every example runs as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(file, *arguments, cwd):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::FutureWarning", file, *arguments],
        cwd=cwd, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("convert_*.py")), ids=lambda file: file.name)
def test_example(file, tmp_path):
    assert "Totals" in run(file, cwd=tmp_path)
    assert not list(tmp_path.iterdir())


SMALL = ["--network", "chain:2x8", "--size", "16", "--images", "16"]
BENCHMARKS = {"calibration_cost.py": SMALL}
"""Arguments without which a benchmark takes minutes."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "file", sorted((EXAMPLES / "benchmarks").glob("*.py")), ids=lambda file: file.name
)
def test_benchmark_runs(file, tmp_path):
    pytest.importorskip("torch_pruning", reason="Torch-Pruning is a development dependency")
    arguments = BENCHMARKS.get(file.name, [])
    assert re.search(r"\d\.\d+x", run(file, *arguments, "--rounds", "1", cwd=tmp_path))


@pytest.mark.slow
def test_growth_is_printed(tmp_path):
    file = EXAMPLES / "benchmarks" / "calibration_cost.py"
    printed = run(file, *SMALL, "--growth", cwd=tmp_path)
    assert re.search(r"\| convert as planned \| \d+\.\d\d( \| -?\d\.\d){3} \|", printed)


CLIENTS = {
    "detect_with_torchvision.py": "boxes in the first image",
    "detect_with_ultralytics.py": "train: one epoch, 62 Ghost modules",
    "finetune_with_timm.py": "one epoch: loss",
    "segment_with_smp.py": "step 2: loss",
    "train_yolo.py": "best.pt",
}


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted(CLIENTS))
def test_client(file, tmp_path, monkeypatch):
    for library in ("sklearn", "segmentation_models_pytorch", "ultralytics"):
        pytest.importorskip(library, reason="the clients want all of pip install '.[zoo]'")
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    done = subprocess.run(
        [sys.executable, EXAMPLES / "clients" / file], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert CLIENTS[file] in done.stdout


def test_every_client_is_run():
    assert {file.name for file in (EXAMPLES / "clients").glob("*.py")} == set(CLIENTS)


def run_module(name, *options):
    """Run a module of the benchmarks; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", name, *options],
        cwd=EXAMPLES / "benchmarks",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["realized", "never_slower"])
def test_speed_benchmarks_run(name, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    options = ["--networks", "alexnet", "--runtimes", "eager", "--seconds", "0.1"]
    printed = run_module(f"speed.{name}", *options)
    assert "| alexnet | " in printed


@pytest.mark.slow
def test_the_int8_benchmark_runs():
    pytest.importorskip("nncf")
    options = ["--networks", "squeezenet1_1", "--plans", "s=2", "--trained", "", "--seconds", "0.1"]
    printed = run_module("speed.int8", *options)
    assert "| squeezenet1_1 | original | 1.00 | 5.0 | 1.3 | " in printed
    assert "| squeezenet1_1 | s=2 | 1.81 | 2.9 | 1.0 | " in printed


def test_every_example_is_run():
    elsewhere = {
        "ablation.py": "test_ablation.py",
        "detection.py": "test_detection_example.py",
        "train_digits.py": "test_pages.py",
    }
    others = {file.name for file in EXAMPLES.glob("*.py")} - elsewhere.keys()
    assert {file.name for file in EXAMPLES.glob("convert_*.py")} == others
    assert all((Path(__file__).parent / name).exists() for name in elsewhere.values())


@pytest.mark.slow
def test_peers_are_drawn(tmp_path):
    pytest.importorskip("timm", reason="most of the peers are timm's")
    pytest.importorskip("matplotlib", reason="the benchmark draws")
    names = "ghostify:ghostnet_050,torchvision:shufflenet_v2_x0_5,timm:mobilenetv2_050"
    options = ["--networks", names, "--runtime", "eager", "--seconds", "0.1", "--out", tmp_path]
    printed = run_module("speed.peers", *options)
    assert "| GhostNet 0.5x | 42 | " in printed
    assert "| 66.2 | the GhostNet paper, arXiv 1911.11907 |" in printed
    assert "| ShuffleNetV2 0.5x | " in printed
    assert {file.name for file in tmp_path.iterdir()} == {"peers-macs.png", "peers-latency.png"}


@pytest.mark.slow
def test_the_accuracy_benchmark_runs(tmp_path):
    """On a network that is not trained: it has been cached."""
    for package in ("mlxtend", "torch_pruning"):
        pytest.importorskip(package, reason="pip install '.[bench,train]'")
    network = "import sys, torch; from accuracy.networks import ResNet20; "
    run("-c", network + "torch.save(ResNet20().state_dict(), sys.argv[1])",
        tmp_path / "ResNet-20-0.pt", cwd=EXAMPLES / "benchmarks")  # fmt: skip
    options = ["--networks", "ResNet-20", "--seeds", "0", "--shares", "0.52"]
    methods = ("random", "L1 pruning, refitted")
    options += ["--methods", ",,".join(methods), "--cache", tmp_path]
    printed = run_module("accuracy", "digits", *options)
    for method in methods:
        assert re.search(rf"  0\.52 \| {method} \| .*% \| MACs 0\.5\d\d \|", printed)
