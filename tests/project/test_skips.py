"""In CI, only what is on a list may be skipped."""

from pathlib import Path
from types import SimpleNamespace

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"


@pytest.fixture
def checked(pytestconfig):
    return pytestconfig.pluginmanager.get_plugin(str(CONFTEST))._checked


def skipped(reason):
    return SimpleNamespace(skipped=True, outcome="skipped", longrepr=("file.py", 1, reason))


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("Skipped: no chromium here: apt-get install chromium", "skipped"),
        ("Skipped: needs a GPU", "skipped"),
        ("Skipped: could not import 'executorch': No module named 'executorch'", "failed"),
        ("Skipped: TensorBoard is not installed", "failed"),
    ],
)
def test_a_skip_in_ci(checked, monkeypatch, reason, outcome):
    monkeypatch.setenv("CI", "1")
    report = checked(skipped(reason))
    assert report.outcome == outcome
    assert outcome == "skipped" or report.longrepr.startswith(reason)


def test_elsewhere_any_test_may_be_skipped(checked, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    assert checked(skipped("TensorBoard is not installed")).outcome == "skipped"


def test_an_expected_failure_is_no_skip(checked, monkeypatch):
    monkeypatch.setenv("CI", "1")
    report = skipped("a known bug")
    report.wasxfail = "a known bug"
    assert checked(report).outcome == "skipped"
