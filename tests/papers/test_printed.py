"""Every data file is whole."""

from pathlib import Path

import printed
import pytest
from printed import NAMES, read_table

from ghostify import GhostifyError, models

PAPERS = Path(printed.__file__).parent


def test_every_file_has_its_name():
    found = {file.name for file in PAPERS.glob("*.toml")}
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
    built = {row.model for row in read_table(name).rows} - {None}
    assert built
    assert built <= set(models.names())


def test_what_there_is_not():
    with pytest.raises(GhostifyError, match="unknown table 'vgg16-kernels'; did you mean vgg16-k"):
        read_table("vgg16-kernels")
    with pytest.raises(GhostifyError, match="there are vgg16-kernel, vgg16-ratio, cifar10"):
        read_table("x")
