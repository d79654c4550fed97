"""Every table, counted once for all tests."""

import pytest
from printed import NAMES, read_table
from recount import recount


@pytest.fixture(scope="session")
def recounted():
    """The tables by name, each with what was counted."""
    pytest.importorskip("timm", reason="some rows are networks of timm, an extra")
    tables = [read_table(name) for name in NAMES]
    return dict(zip(NAMES, zip(tables, recount(tables), strict=True), strict=True))
