"""Every data file is whole."""

from importlib.resources import files

import pytest

from ghostify import GhostifyError, zoo
from ghostify.papers import NAMES, read_table


def test_every_file_has_its_name():
    found = {f.name for f in files("ghostify.papers").iterdir() if f.name.endswith(".toml")}
    assert found == {f"{name}.toml" for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_rows_fit_their_table(name):
    table = read_table(name)
    assert set(table.counted) <= {"conv", "linear"}
    for row in table.rows:
        assert len(row.accuracy) == len(table.accuracy)
        assert any(row.accuracy)
        assert row.params or row.macs or row.note


@pytest.mark.parametrize("name", NAMES)
def test_every_model_is_known(name):
    pytest.importorskip("timm", reason="timm is an extra")
    models = {row.model for row in read_table(name).rows} - {None}
    assert models
    assert models <= set(zoo.names())


def test_what_there_is_not():
    with pytest.raises(GhostifyError, match="unknown table 'vgg16-kernels'; did you mean vgg16-k"):
        read_table("vgg16-kernels")
    with pytest.raises(GhostifyError, match="there are vgg16-kernel, vgg16-ratio, cifar10"):
        read_table("x")
