"""Nothing but regular files is read; all else would keep the reader waiting."""

import os

import pytest

from ghostify import GhostifyError, Plan
from ghostify.io.recipe import Recipe, read_recipe
from ghostify.models.identity import file_digest
from ghostify.types.regular_file import read_regular


def test_a_file_and_a_link_to_it(tmp_path):
    (tmp_path / "x").write_bytes(b"content")
    (tmp_path / "y").symlink_to("x")
    assert read_regular(tmp_path / "x") == read_regular(str(tmp_path / "y")) == b"content"


@pytest.mark.parametrize("read", [read_regular, Plan.load, Recipe.load, file_digest])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_other_kinds(tmp_path, kind, read):
    path = tmp_path / "x"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(GhostifyError, match="x is not a regular file"):
        read(path)


def test_a_recipe_that_is_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "ghostify.json")
    with pytest.raises(GhostifyError, match="has no ghostify.json"):
        read_recipe(tmp_path)


@pytest.mark.parametrize("target", [None, "nowhere"])
def test_no_file(tmp_path, target):
    if target:
        (tmp_path / "x").symlink_to(target)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "x")
