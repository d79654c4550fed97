"""Run the tutorial, command by command.

    python examples/tutorial/run.py [--keep]

Requires ``pip install -e '.[train,export,report]'``. Runs in a temporary folder and prints the
output of each command. With --keep, also writes it to the folder ``output``, which the
documentation shows.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent

MODEL = "--model net.py:build"

COMMANDS = {
    "train": "python train.py",
    "analyze": "ghostify analyze net.py:build --input 1x28x28",
    "convert": "ghostify convert net.py:build --input 1x28x28 --weights net.pt --budget macs=0.1 "
    "--calibration images.pt --out digits-ghost",
    "evaluate": f"ghostify evaluate digits-ghost {MODEL} --data mnist5k",
    "recover": f"ghostify recover digits-ghost {MODEL} --data mnist5k --epochs 2",
    "benchmark": f"ghostify benchmark digits-ghost-recovered {MODEL} "
    "--runtime onnxruntime,openvino --seconds 2",
    "export": f"ghostify export digits-ghost-recovered {MODEL} --to onnx",
    "report": "ghostify report digits-ghost-recovered --out report.html",
}


def run(command: str, cwd: Path) -> str:
    """Run a command and return what it prints. Exit if it fails."""
    program, *arguments = shlex.split(command)
    start = [sys.executable] if program == "python" else [sys.executable, "-m", program]
    result = subprocess.run([*start, *arguments], cwd=cwd, stdout=subprocess.PIPE, text=True)
    if result.returncode:
        sys.exit(f"{command} failed")
    return result.stdout


def main() -> None:
    """Run all commands in order."""
    output = HERE / "output"
    with tempfile.TemporaryDirectory() as work:
        for file in ("net.py", "train.py"):
            shutil.copy(HERE / file, work)
        for name, command in COMMANDS.items():
            print(f"$ {command}", flush=True)
            printed = run(command, Path(work))
            print(printed, flush=True)
            if "--keep" in sys.argv:
                output.mkdir(exist_ok=True)
                lines = [f"$ {command}", *map(str.rstrip, printed.splitlines())]
                (output / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        assert Path(work, "report.html").is_file()


if __name__ == "__main__":
    main()
