"""What the documentation says is so."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import torch
import typer
from torchvision.models import resnet50

import ghostify
from ghostify import models, nn, types
from ghostify.cli.app import app
from ghostify.io.measurements import KINDS
from ghostify.io.recipe import Recipe

ROOT = Path(__file__).parents[2]
COMMANDS = typer.main.get_command(app).commands


PAGES = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]
API = sorted((ROOT / "docs/reference/api").glob("*.md"))


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_is_documented(name):
    page = read("docs/reference/cli.md")
    assert f"ghostify {name}" in page
    for parameter in COMMANDS[name].params:
        for option in parameter.opts:
            if option.startswith("-"):
                assert f"`{option}" in page, option


def test_no_option_is_documented_that_is_not_there():
    known = {o for c in COMMANDS.values() for p in c.params for o in (*p.opts, *p.secondary_opts)}
    written = set(re.findall(r"`(--?[a-z0-9-]+)", read("docs/reference/cli.md")))
    assert written <= known | {"--version", "--help", "-h"}


DEFAULT = re.compile(r"[Dd]efault:? (?:`([^`]+)`|(\d[\d.]*\b))")


def literals(text):
    """Return the defaults that a text gives as values, not in words."""
    return {code or number for code, number in DEFAULT.findall(" ".join((text or "").split()))}


def defaults(option):
    """Return the defaults of an option in any command, as they are written in texts."""
    found = set()
    for parameter in (p for c in COMMANDS.values() for p in c.params if option in p.opts):
        value = getattr(parameter.default, "value", parameter.default)
        found |= {*re.findall(r"Default: ([\w.-]*\w)", parameter.help or "")}
        if value is True:
            found.add(option)
        else:
            found.add(f"{value:g}" if isinstance(value, (int, float)) else str(value))
    return found


DOCUMENTED = [
    (re.findall(r"`(--[a-z-]+)", options), literals(text))
    for options, text in re.findall(
        r"^(`-.*)\n:   (.*(?:\n(?: {4}.*)?)*)", read("docs/reference/cli.md"), re.M
    )
    if literals(text)
]


@pytest.mark.parametrize(
    ("options", "written"), DOCUMENTED, ids=lambda value: ",".join(sorted(value))
)
def test_defaults_are_documented_as_they_are(options, written):
    assert written <= {default for option in options for default in defaults(option)}


def test_defaults_are_found():
    assert len(DOCUMENTED) > 15
    assert literals("Default: 10. Default: `cpu`. Default: all.") == {"10", "cpu"}
    assert literals("Batch size (default 32), rate. Default: 0.1") == {"32", "0.1"}


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_are_shown_exist(page):
    blocks = re.findall(r"```sh\n(.*?)```", read(page), re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    for name, arguments in re.findall(r"^ghostify (\w+)([^#\n]*)", "\n".join(lines), re.M):
        known = {o for p in COMMANDS[name].params for o in (*p.opts, *p.secondary_opts)}
        without_shell = re.sub(r'"\$\(.*?\)', "", arguments)
        assert set(re.findall(r"(?<=\s)--?[a-z][a-z0-9-]*", without_shell)) <= known, arguments


def test_the_formats_page_names_every_entry_and_every_measurement():
    page = read("docs/reference/formats.md")
    entries = {entry.name for entry in fields(Recipe)}
    assert entries <= set(re.findall(r"`(\w+)`", page))
    for kind in KINDS:
        assert re.search(rf"^\| `{kind}[-.]", page, re.M), kind
    for format in (Recipe._format, types.Plan._format, types.Sensitivity._format):
        assert format in page


def test_every_public_name_is_documented():
    text = "".join(map(read, API))
    documented = set(re.findall(r"^::: ghostify\.(?:\w+\.)*(\w+)$", text, re.M))
    public = {*ghostify.__all__, *types.__all__, *nn.__all__, *models.__all__}
    assert public <= documented


def test_the_readme_shows_the_report_that_is_printed():
    model, example = resnet50().eval(), torch.zeros(1, 3, 224, 224)
    ghost = ghostify.convert(model, example)
    printed = str(ghostify.compare(model, ghost, example, name="resnet50"))
    squeezed = {" ".join(line.split()) for line in printed.splitlines()}
    shown = re.search(r"```text\n(.*?)```", read("README.md"), re.S)[1]
    numbers = [line for line in shown.splitlines() if re.search(r"\d", line)]
    assert len(numbers) > 8
    for line in numbers:
        assert " ".join(line.split()) in squeezed
