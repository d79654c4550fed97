"""What is counted agrees with what is printed, but for the rows that are known not to."""

import pytest
from printed import NAMES, PaperRow, PaperTable, agrees, read_table
from recount import recount

# Rows that do not agree, and in what. Each has its footnote.
DISAGREE = {
    ("cifar10", "Ghost-ResNet-56, s = 2, d = 3"): {"params", "macs"},
    ("resnet50", "Ghost, s = 2"): {"params"},
    ("resnet50", "Ghost, s = 4"): {"params"},
    ("imagenet", "ShuffleNetV2 1.0x"): {"macs"},
    ("imagenet", "MobileNetV2 1.0x"): {"macs"},
    ("imagenet", "MobileNetV3-L 1.0x"): {"params", "macs"},
    ("imagenet", "GhostNet 1.3x"): {"params", "macs"},
    ("coco", "MobileNetV2"): {"macs"},
    ("coco", "MobileNetV3"): {"macs"},
    ("coco", "GhostNet 1.1x"): {"macs"},
}


@pytest.mark.parametrize("name", NAMES)
def test_counts_agree(name, recounted):
    table, recounts = recounted[name]
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


@pytest.mark.parametrize(
    ("name", "networks", "params", "macs"),
    [
        (
            "resnet50",
            ["ResNet-50", "Ghost, s = 2", "Ghost, s = 4"],
            [25_557_032, 13_953_512, 8_151_752],
            [4089.18, 2151.02, 1181.94],
        ),
        (
            "imagenet",
            ["GhostNet 0.5x", "GhostNet 1.0x", "GhostNet 1.3x"],
            [2_587_292, 5_182_508, 7_358_820],
            [42.33, 141.15, 227.00],
        ),
        (
            "imagenet",
            ["GhostNetV2 1.0x", "GhostNetV2 1.3x", "GhostNetV2 1.6x"],
            [6_156_908, 8_960_404, 12_392_698],
            [167.05, 269.32, 398.61],
        ),
        (
            "imagenet",
            ["GhostNetV3 1.0x", "GhostNetV3 1.0x, fused"],
            [8_129_028, 6_147_588],
            [404.13, 167.05],
        ),
    ],
)
def test_counts(name, networks, params, macs, recounted):
    table, recounts = recounted[name]
    found = {row.network: counts for row, counts in zip(table.rows, recounts, strict=True)}
    assert [found[network].params for network in networks] == params
    assert [round(found[network].macs / 1e6, 2) for network in networks] == macs


def test_what_is_not_installed_is_not_counted():
    row = PaperRow(network="some", params="1M", accuracy=(), model="timm:of_another_library")
    table = PaperTable(
        name="", title="", source="", accuracy=(), counted=("conv",), stem=False, rows=(row,)
    )
    assert recount([table]) == ((None,),)


def test_progress_is_told_before_each_row():
    tables = [read_table("resnet50")]
    told = []
    recount(tables, lambda network, done, total, _: told.append((network, done, total)))
    rows = tables[0].rows
    assert told == [(row.network, place, len(rows)) for place, row in enumerate(rows)]
