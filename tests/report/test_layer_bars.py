"""Bars of the cost of each layer."""

from dataclasses import replace

from ghostify.report.layer_bars import layer_bars, site_bars
from ghostify.report.site_row import site_rows


def test_bars_of_a_pruned_network(pruned_plan):
    bars = {bar.name: bar for bar in layer_bars(site_rows(pruned_plan), "parameters")}
    assert bars["a"].parts == [("dropped", 9216), ("ghosts", 5760), ("intrinsic", 3060)]
    assert bars["b"].parts == [("dropped", 2048), ("dense", 960)]
    assert bars["stem"].parts == [("dense", 432)]
    assert bars["a"].tooltip.splitlines() == [
        "a", "3x3, 16→64", "outputs 64 → 40 (20 + 20 ghosts)", "9.22K → 3.06K parameters",
        "s=2, d=3",
    ]  # fmt: skip
    assert bars["c"].tooltip.splitlines() == [
        "c", "1x1, 32→16", "inputs 32 → 24", "outputs 16", "512 → 384 parameters",
        "not replaced: excluded",
    ]  # fmt: skip
    assert bars["stem"].tooltip.splitlines()[-1] == "kept: first convolution (stem)"


def test_sites_are_colored_by_whether_they_can_be_replaced(sites):
    first, *_ = sites
    yes, no = site_bars([first, replace(first, ineligible="depthwise")])
    ((_, macs),) = yes.parts
    assert (yes.parts, no.parts) == ((("intrinsic", macs),), (("dense", macs),))
    assert macs > 0
    assert yes.tooltip.splitlines()[-1] == "replaceable"
    assert no.tooltip.splitlines()[-1] == "not replaceable: depthwise"
