"""The README can be replayed from top to bottom."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("accelerate", "mlxtend", "onnxruntime", "onnxscript", "openvino", "jinja2", "matplotlib")
PROGRAMS = {
    "python": [sys.executable],
    "ghostify": [sys.executable, "-m", "ghostify"],
}


def blocks(language):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def commands():
    """Return all commands but those that install, which `.ci/run` runs."""
    lines = "".join(blocks("sh")).splitlines()
    split = [shlex.split(line, comments=True) for line in lines]
    return [words for words in split if words and words[0] in PROGRAMS]


def run(words, folder):
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.mark.slow
def test_all_commands_run_in_order(tmp_path):
    for package in NEEDED:
        pytest.importorskip(package, reason="pip install '.[train,export,report]'")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for program, *arguments in commands():
        done = run([*PROGRAMS[program], *arguments], tmp_path)
        if program == "ghostify" and arguments[0] in ("convert", "recover"):
            assert "warning" not in done.stderr
    for file in ("digits-ghost-recovered/report.html", "digits-ghost-recovered.onnx", "plan.json"):
        assert (tmp_path / file).is_file()
    (code,) = blocks("python")
    assert "Totals" in run([sys.executable, "-c", code], tmp_path).stdout


def test_commands_are_found():
    assert [words[1] for words in commands() if words[0] == "ghostify"].count("convert") >= 4
