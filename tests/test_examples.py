"""Every example runs as it stands."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(file, *arguments, cwd):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::FutureWarning", file, *arguments],
        cwd=cwd, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.name)
def test_example(file, tmp_path):
    assert "Totals" in run(file, cwd=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    "file", sorted((EXAMPLES / "benchmarks").glob("*.py")), ids=lambda file: file.name
)
def test_benchmark_runs(file, tmp_path):
    pytest.importorskip("torch_pruning", reason="Torch-Pruning is a development dependency")
    assert "resnet50" in run(file, "--rounds", "1", cwd=tmp_path)
