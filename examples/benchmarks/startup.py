"""Time of the commands, compared with the time of the imports and of building the model.

    python examples/benchmarks/startup.py [--rounds 5]

Each round starts every command once, each in its own process.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FLOOR = "import torch, torchvision, fvcore.nn; torchvision.models.resnet50()"


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    python = [sys.executable, "-W", "ignore"]
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "out")
        commands = {
            "imports and resnet50()": [*python, "-c", FLOOR],
            "ghostify convert resnet50": [
                *python, "-m", "ghostify", "convert", "resnet50", "--out", out, "--force",
            ],
            "ghostify --help": [*python, "-m", "ghostify", "--help"],
        }  # fmt: skip
        for command in commands.values():
            seconds(command)
        times = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                times[name].append(seconds(command))
    floor = statistics.median(times["imports and resnet50()"])
    for name, measured in times.items():
        median = statistics.median(measured)
        print(
            f"{name:27} {median:6.2f} s ({min(measured):.2f}-{max(measured):.2f})"
            f"  {median / floor:5.2f}x the floor"
        )


if __name__ == "__main__":
    main()
