"""What is counted agrees with what is printed, but for the rows that are known not to."""

import pytest

from ghostify.papers import NAMES, read_table, recount
from ghostify.spec.paper import agrees

# Rows that do not agree, and in what. Each has its footnote.
DISAGREE = {
    ("cifar10", "Ghost-ResNet-56, s = 2, d = 3"): {"params", "macs"},
    ("resnet50", "Ghost, s = 2"): {"params"},
    ("resnet50", "Ghost, s = 4"): {"params"},
}


@pytest.mark.parametrize("name", NAMES)
def test_counts_agree(name):
    pytest.importorskip("timm", reason="timm is an extra")
    table = read_table(name)
    (recounts,) = recount([table])
    for row, found in zip(table.rows, recounts, strict=True):
        assert (found is None) == (row.model is None)
        if found is None:
            continue
        wrong = {
            cost
            for cost in ("params", "macs")
            if getattr(row, cost) and not agrees(getattr(found, cost), getattr(row, cost))
        }
        assert wrong == DISAGREE.get((name, row.network), set()), row.network
        assert not wrong or row.note


def test_resnet50():
    """A 1x1 convolution of c inputs and n outputs has n / s filters, and (n - n / s) 3x3 ghosts."""
    (recounts,) = recount([read_table("resnet50")])
    counted = [found for found in recounts if found]
    assert [found.params for found in counted] == [25_557_032, 13_953_512, 8_151_752]
    assert [found.macs for found in counted] == [4_089_184_256, 2_151_023_360, 1_181_942_912]


def test_progress_is_told_before_each_row():
    tables = [read_table("resnet50")]
    told = []
    recount(tables, lambda network, done, total, _: told.append((network, done, total)))
    rows = tables[0].rows
    assert told == [(row.network, place, len(rows)) for place, row in enumerate(rows)]
