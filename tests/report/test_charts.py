"""Charts as data."""

from ghostify.report.charts import LayerBar, bar_legend, heaviest_half, stages, summarize_bars


def bars(*costs):
    return [LayerBar(str(cost), cost, cost, cost, False, "") for cost in costs]


def test_the_heaviest_half_by_hand():
    assert heaviest_half(bars(1, 5, 2, 4)) == 2  # 5 + 4 of 12
    assert heaviest_half(bars(1, 6, 2, 3)) == 1
    assert heaviest_half([]) == 0


def test_stages():
    names = ["conv1", "layer1.0.conv1", "layer1.1.conv1", "layer2.0.conv1", "layer1.9.conv"]
    assert stages(names) == [("conv1", 1), ("layer1", 2), ("layer2", 1), ("layer1", 1)]
    assert stages(["features.0", "features.3"]) == [("features", 2)]
    numbered = ["features.0.0", "features.1.conv.0", "features.1.conv.1", "head.1.conv"]
    assert stages(numbered) == [("features.0", 1), (".1", 2), ("head.1", 1)]


def test_the_parts_of_a_bar():
    ghost = LayerBar("a", before=100, narrowed=60, after=25, replaced=True, tooltip="")
    assert ghost.parts == [("dropped", 100), ("ghosts", 60), ("intrinsic", 25)]
    narrowed = LayerBar("b", before=100, narrowed=60, after=60, replaced=False, tooltip="")
    assert narrowed.parts == [("dropped", 100), ("dense", 60)]
    (kept,) = bars(7)
    assert kept.parts == [("dense", 7)]
    assert list(bar_legend([kept, ghost])) == ["dropped", "ghosts", "intrinsic", "dense"]
    assert list(bar_legend([kept])) == ["dense"]
    assert summarize_bars([ghost, narrowed]) == (
        "42% left, 40% saved by dropped channels, 18% saved by ghosts"
    )
    assert summarize_bars([kept]) == "100% left"
