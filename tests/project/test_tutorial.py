"""The tutorial shows the output of its commands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "examples" / "tutorial"
OUTPUTS = sorted((TUTORIAL / "output").glob("*.txt"))


def words_of(text):
    """Return the words of an output without its numbers, which differ by machine."""
    words = re.sub(r"[─→]|[-+\d.,]+[KMG]?B?%?x?", " ", text)
    return set(re.findall(r"[a-z]{3,}", words))


def test_the_page_shows_all_outputs():
    page = (ROOT / "docs" / "start" / "tutorial.md").read_text(encoding="utf-8")
    assert OUTPUTS
    for file in (*OUTPUTS, TUTORIAL / "net.py", TUTORIAL / "train.py"):
        assert f'--8<-- "{file.relative_to(ROOT)}"' in page


@pytest.mark.slow
def test_commands_print_the_shown_output():
    for package in ("accelerate", "mlxtend", "onnxruntime", "onnxscript", "openvino", "jinja2"):
        pytest.importorskip(package, reason="pip install '.[train,export,report]'")
    done = subprocess.run(
        [sys.executable, TUTORIAL / "run.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for file in OUTPUTS:
        text = file.read_text(encoding="utf-8")
        assert text.splitlines()[0] in done.stdout
        assert words_of(text) <= words_of(done.stdout)
