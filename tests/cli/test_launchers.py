"""``torchrun`` and ``accelerate launch``, as the documentation shows them."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch

from ghostify.io.recipe import read_recipe
from ghostify.training.checkpoint import read_checkpoint

LAUNCHERS = {
    "torchrun": ["torch.distributed.run", "--nproc-per-node", "2"],
    "accelerate": ["accelerate.commands.launch", "--cpu"],
}
RECOVER = [
    "recover", "out", "--model", "net.py:build", "--input", "3x16x16", "--data", "images.pt",
    "--batch-size", "8", "--lr", "0.001",
]  # fmt: skip


@pytest.fixture
def launch(run, tmp_path):
    """Starts a launcher of ``ghostify recover`` in a folder with an artifact and images."""
    source = (tmp_path / "net.py").read_text()
    seeded = "    __import__('torch').manual_seed(0)\n    net = nn.Sequential"
    source = source.replace("    return nn.Sequential", seeded)
    trained = (
        "    for module in net:\n        for p in module.parameters():\n            p.data *= 1.5"
    )
    (tmp_path / "net.py").write_text(f"{source}\n{trained}\n    return net\n")
    torch.save(torch.randn(80, 3, 16, 16), "images.pt")
    assert run("convert", "net.py:build", "--input", "3x16x16", "-o", "out").code == 0

    def start(launcher, *options):
        module, *arguments = LAUNCHERS[launcher]
        command = [sys.executable, "-m", module, *arguments, "-m", "ghostify", *RECOVER, *options]
        return subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    return start


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_launchers(launch, tmp_path, launcher):
    process = launch(launcher, "--epochs", "2")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert out.count("Scores") == 1  # one process speaks
    assert len(re.findall(r"epoch \d, 0:\d+: loss", err)) == 2
    recovery = read_recipe(tmp_path / "out-recovered").recovery
    assert (recovery.steps, recovery.images) == (18, 18 * 8)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_processes_at_the_same_step(launch, tmp_path, number):
    process = launch("torchrun", "--epochs", "10000")
    line = next(line for line in process.stderr if "epoch 2, " in line)
    assert line
    time.sleep(0.3)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0
    assert err.count("Interrupted; out-recovered/recovery holds a checkpoint.") == 1, err
    position = read_checkpoint(tmp_path / "out-recovered" / "recovery").position
    assert position.step > 0
    process = launch("torchrun", "--epochs", "10000", "--resume")
    seen = []
    for line in process.stderr:
        seen.append(line)
        if re.search(r"epoch \d+, 0:", line):
            break
    process.send_signal(signal.SIGINT)  # a kill would leave the processes that it started
    process.communicate(timeout=120)
    assert seen[-1].startswith(f"epoch {position.epoch + 1}, "), "".join(seen)
