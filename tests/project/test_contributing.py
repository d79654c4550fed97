"""What CONTRIBUTING.md adds works, and the citation is of this version."""

import re
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

import ghostify
from ghostify.conversion.initialize import INITIALIZERS
from ghostify.deployment import EXPORTERS
from ghostify.planning.cost import COSTS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLE = torch.randn(1, 3, 8, 8)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.ReLU(), nn.Conv2d(8, 16, 3, bias=False)
    ).eval()


@pytest.fixture
def added(monkeypatch):
    """Run the code of a section, as long as the test runs."""

    def run(section, registry):
        for known in (COSTS, INITIALIZERS, EXPORTERS):
            for name in known:
                monkeypatch.setitem(known, name, known[name])
        code = re.search(rf"## {section}\n.*?```python\n(.*?)```", TEXT, re.S)[1]
        before = set(registry)
        exec(code, {})
        (name,) = set(registry) - before
        monkeypatch.setitem(registry, name, registry.pop(name))  # removed after the test
        return name

    return run


def test_a_cost(added, net):
    name = added("Add a cost", COSTS)
    ghost = ghostify.convert(net, EXAMPLE, budget=f"{name}=0.7", prune=False, stem=True)
    sizes = [sum(p.numel() for p in model.parameters()) for model in (net, ghost)]
    assert sizes[1] <= 0.7 * sizes[0]


def test_an_initializer(added, net):
    name = added("Add an initializer", INITIALIZERS)
    ghost = ghostify.convert(net, EXAMPLE, ratio=2, init=name)
    assert ghost(EXAMPLE)[:, 8:].count_nonzero() == 0
    torch.testing.assert_close(ghost(EXAMPLE)[:, :8], net(EXAMPLE)[:, :8])


def test_an_exporter(added, net, tmp_path):
    pytest.importorskip("openvino", reason="pip install '.[export]'")
    name = added("Add an exporter", EXPORTERS)
    exported = ghostify.export(net, EXAMPLE, tmp_path / "half.xml", to=name)
    weights = sum(p.numel() for p in net.parameters())
    assert exported.path.with_suffix(".bin").stat().st_size < 3 * weights  # 2 bytes each


def test_files_that_are_named_exist():
    named = set(re.findall(r"`((?:ghostify|tests|docs|examples)/[\w/.-]+)`", TEXT))
    assert len(named) > 8
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == ghostify.__version__
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
