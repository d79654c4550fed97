"""The tutorial, command by command.

    python examples/tutorial/run.py [--keep]

After ``pip install -e '.[train,export,report]'``. Runs in a temporary folder, and prints what each
command says; with --keep, writes it to ``said`` beside this file, which the documentation shows.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent

OWN = "--model net.py:build"

COMMANDS = {
    "train": "python train.py",
    "inspect": "ghostify inspect net.py:build --input 1x28x28",
    "convert": "ghostify convert net.py:build --input 1x28x28 --weights net.pt --budget macs=0.4 "
    "--calibration images.pt --out digits-ghost",
    "evaluate": f"ghostify evaluate digits-ghost {OWN} --weights net.pt --data mnist5k",
    "recover": f"ghostify recover digits-ghost {OWN} --weights net.pt --data mnist5k --epochs 1",
    "benchmark": f"ghostify benchmark digits-ghost {OWN} --runtime onnxruntime,openvino "
    "--seconds 2",
    "export": f"ghostify export digits-ghost {OWN} --to onnx",
    "report": "ghostify report digits-ghost --out report.html",
}


def run(command: str, cwd: Path) -> str:
    """What a command prints.

    Raises:
        CalledProcessError: if it fails.
    """
    program, *arguments = shlex.split(command)
    start = [sys.executable] if program == "python" else [sys.executable, "-m", program]
    done = subprocess.run([*start, *arguments], cwd=cwd, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{command} has failed")
    return done.stdout


def main() -> None:
    """Run all commands in order."""
    said = HERE / "said"
    with tempfile.TemporaryDirectory() as work:
        for file in ("net.py", "train.py"):
            shutil.copy(HERE / file, work)
        for name, command in COMMANDS.items():
            print(f"$ {command}", flush=True)
            printed = run(command, Path(work))
            print(printed, flush=True)
            if "--keep" in sys.argv:
                said.mkdir(exist_ok=True)
                lines = [f"$ {command}", *map(str.rstrip, printed.splitlines())]
                (said / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        assert Path(work, "report.html").is_file()


if __name__ == "__main__":
    main()
