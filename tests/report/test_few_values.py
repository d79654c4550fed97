"""Every chart with no values, with one value, and with equal and extreme values."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
import torch

from ghostify import GhostSpec
from ghostify.report.charts import Curve, LayerBar, Plot
from ghostify.report.plots import plot_curves, plot_layers, plot_sensitivity, plot_timing
from ghostify.report.redundancy_plot import plot_redundancy
from ghostify.report.svg import bars_svg, meter_svg, plot_svg
from ghostify.report.timing import Measurement, Spread, Timing
from ghostify.types import ConvSite, FeatureMapPair, Geometry, LayerRedundancy, Sensitivity

VALUES = [
    [], [0.0], [1.0], [1.0] * 3, [0.0] * 3, [1 - 2**-53, 1.0], [5e-324], [1e-30, 1e30]
]  # fmt: skip


def bars(values):
    return [LayerBar(f"layer{i}", v, v, v, i % 2 == 0, "") for i, v in enumerate(values)]


def plot(values, percent):
    curve = Curve("one", tuple((v, v) for v in values), "ghost", line=True)
    return Plot("title", "x", "y", (curve, replace(curve, role="current")), percent)


def timing(values):
    spread = Spread(1.0, 1.0, 1.0)
    measured = [
        Measurement(model, "eager", 1 + i, 1, 1, spread, spread)
        for i, _ in enumerate(values)
        for model in ("original", "ghost")
    ]
    return Timing("1x3x8x8", {"original": 4, "ghost": 4}, "bytes", tuple(measured))


def site(name):
    geometry = Geometry(
        in_channels=4, out_channels=4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1),
        dilation=(1, 1), groups=1, bias=False, padding_mode="zeros",
    )  # fmt: skip
    return ConvSite(
        name=name, type="Conv2d", geometry=geometry, output=(8, 8), calls=1, positions=64,
        seen="graph",
    )  # fmt: skip


def sensitivity(values):
    layers = {f"layer{i}": {GhostSpec(): v} for i, v in enumerate(values)}
    return Sensitivity(unit="loss", measured=True, layers=layers), [site(name) for name in layers]


def redundancy(values, file):
    maps = torch.ones(len(values), 8, 8) * torch.tensor(values)[:, None, None]
    pairs = (FeatureMapPair(0, len(values) - 1, {3: 0.5}),) if values else ()
    found = LayerRedundancy("layer", len(values), 0, (8, 8), 64, {}, {}, pairs)
    plot_redundancy(found, torch.zeros(3, 8, 8), maps, file, title="net")


SVG = {
    "bars": lambda values: bars_svg(bars(values), "title"),
    "plot": lambda values: plot_svg(plot(values, percent=False)),
    "percent": lambda values: plot_svg(plot(values, percent=True)),
    "meter": lambda values: "".join(svg for _, svg in timing(values).charts()) or "<svg/>",
    "stages": lambda values: meter_svg(sum(values), 1, 1, "title"),
}
FILES = {
    "layers": lambda values, file: plot_layers(bars(values), file, unit="MACs"),
    "curves": lambda values, file: plot_curves(plot(values, percent=True), file),
    "timing": lambda values, file: plot_timing(timing(values), file),
    "sensitivity": lambda values, file: plot_sensitivity(*sensitivity(values), file, title="net"),
    "redundancy": redundancy,
}


@pytest.mark.parametrize("values", VALUES, ids=str)
@pytest.mark.parametrize("name", SVG)
def test_svg(name, values):
    for element in ET.fromstring(f"<svgs>{SVG[name](values)}</svgs>").iter():
        assert not {"nan", "inf", "-inf"} & set(element.attrib.values())


@pytest.mark.parametrize("values", VALUES, ids=str)
@pytest.mark.parametrize("name", FILES)
def test_files(name, values, tmp_path):
    pytest.importorskip("matplotlib")
    FILES[name](values, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_an_axis_of_equal_shares_ends_at_100_percent():
    labels = [e.text for e in ET.fromstring(plot_svg(plot([1.0] * 3, percent=True))).iter("text")]
    assert "100%" in labels
    assert not [label for label in labels if label.endswith("%") and float(label[:-1]) > 100]
