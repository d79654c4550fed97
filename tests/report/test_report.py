import csv
import io
import json
from dataclasses import dataclass, replace

import pytest
import torch

import ghostify
from ghostify import GhostifyError, GhostSpec, Plan
from ghostify.planning import plan_sites
from ghostify.report.report import Report
from ghostify.report.site_row import site_rows
from ghostify.types import Count, Decision, Fidelity, Region


@pytest.fixture
def report(small_net, image):
    converted = ghostify.convert(small_net, image, init="random")
    return ghostify.compare(small_net, converted, image, name="small")


def test_every_convolution_is_in_the_report(report):
    assert [row.site.name for row in report.replaced] == ["wide", "project"]
    assert [(kept.site.name, kept.reason) for kept in report.kept] == [
        ("stem", "first convolution (stem)"),
        ("depthwise", "depthwise"),
    ]


def test_a_row_by_hand(report):
    # 3x3 from 16 to 32 without bias on an 8x8 map; 16 intrinsic maps and 16 ghosts.
    row = report.replaced[0]
    assert row.params == (32 * 144, 16 * 144 + 16 * 9)
    assert row.macs == (64 * 32 * 144, 64 * (16 * 144 + 16 * 9))


def test_totals_by_hand(report, small_net):
    before = sum(p.numel() for p in small_net.parameters())
    saved = (4608 - 2448) + (32 * 32 - 16 * 32 - 16 * 9)
    assert (report.before.params, report.after.params) == (before, before - saved)
    assert report.params_ratio == before / (before - saved)
    assert report.before.macs["conv"] - report.after.macs["conv"] == 64 * saved
    assert report.before.weight_bytes - report.after.weight_bytes == 4 * saved


def test_equation_4_is_weighted_by_the_macs(report):
    ideal = 64 * 32 * 144 / (144 / (72 + 4.5)) + 64 * 32 * 32 / (32 / (16 + 4.5))
    assert report.eq4_speedup == pytest.approx((64 * 32 * 144 + 64 * 32 * 32) / ideal)


def test_costs_are_those_of_the_example(small_net, image):
    converted = ghostify.convert(small_net, image)
    wider = ghostify.compare(small_net, converted, torch.zeros(2, 3, 32, 16))
    assert wider.replaced[0].macs[0] == 2 * 16 * 8 * 32 * 144
    assert wider.replaced[0].site.output_map == "16x8"


def test_the_printed_report(report):
    lines = str(report).splitlines()
    assert lines[0] == "small, input 1x3x16x16, s=2, d=3"
    assert "Changed: 2" in lines
    row = next(line for line in lines if line.startswith("wide"))
    costs = ["4.61K→2.45K", "295K→157K", "1.88"]
    assert row.split() == ["wide", "3x3,", "16→32,", "/2", "8x8", *costs]
    assert "Kept: 2" in lines
    text = " ".join(str(report).split())
    assert "papers call them FLOPs" in text
    assert "Not counted by fvcore: add, mean." in text
    assert text.count("FLOPs") == 1
    assert max(map(len, lines)) <= 80


class LongNames(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a_module_with_a_rather_long_name = torch.nn.Sequential(
            torch.nn.Conv2d(3, 512, 1), torch.nn.Conv2d(512, 1024, 3, stride=2)
        )

    def forward(self, x):
        return self.a_module_with_a_rather_long_name(x)


def test_names_are_as_long_as_they_are(image):
    model = LongNames()
    report = ghostify.compare(model, ghostify.convert(model, image), image)
    for text in (str(report), report.to_markdown()):
        assert "a_module_with_a_rather_long_name.1" in text
        assert "…" not in text


def test_json_holds_everything(report):
    data = json.loads(report.to_json())
    assert data["before"]["params"] == report.before.params
    assert data["after"]["total_macs"] == report.after.total_macs
    assert data["macs_ratio"] == report.macs_ratio
    assert [layer["layer"] for layer in data["layers"]] == ["wide", "project", "stem", "depthwise"]


def test_csv_has_a_line_for_each_convolution(report):
    rows = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert [row["layer"] for row in rows] == ["wide", "project", "stem", "depthwise"]
    assert rows[0]["macs_after"] == str(64 * 2448)
    assert (rows[0]["keep"], rows[3]["keep"]) == ("", "depthwise")
    assert rows[3]["params_before"] == rows[3]["params_after"] == "320"


def test_notebooks_show_markdown(report):
    assert report._repr_markdown_() == report.to_markdown()
    assert "| wide" in report.to_markdown()


def test_a_mixed_plan_shows_each_sites_numbers(small_net, image):
    plan = plan_sites(ghostify.analyze(small_net, image))
    decisions = [
        Decision(d.site, ghost=GhostSpec(1.5, 1)) if d.site.name == "project" else d
        for d in plan.decisions
    ]
    converted = ghostify.convert(small_net, plan=Plan(tuple(decisions)))
    report = ghostify.compare(small_net, converted, image)
    assert str(report).startswith("SmallNet, input 1x3x16x16, s=1.5-2, d=1-3")
    assert "1.5, 1" in str(report)


def test_not_the_original(small_net, image):
    converted = ghostify.convert(small_net, image)
    other = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3))
    with pytest.raises(GhostifyError, match="not the original: it has no stem"):
        ghostify.compare(other, converted, image)


def test_not_converted(small_net, image):
    with pytest.raises(GhostifyError, match="not a converted model"):
        ghostify.compare(small_net, small_net, image)


def test_another_original_is_refused(small_net, image):
    converted = ghostify.convert(small_net, image)
    small_net.wide = torch.nn.Conv2d(16, 32, 5, stride=2, padding=2, bias=False)
    with pytest.raises(GhostifyError, match="is not the original: wide is 5x5, 16→32, /2"):
        ghostify.compare(small_net, converted, image)


def test_a_layer_without_a_decision_is_kept(small_net, image):
    plan = plan_sites(ghostify.analyze(small_net, image))
    some = Plan(tuple(d for d in plan.decisions if d.site.name != "project"))
    report = ghostify.compare(small_net, ghostify.convert(small_net, plan=some), image)
    assert [k.reason for k in report.kept if k.site.name == "project"] == ["not in the plan"]


def test_an_example_that_runs_nothing():
    class Idle(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, 8, 3)

        def forward(self, x, go=True):
            return self.b(self.a(x)) if go else x

    model, x = Idle(), torch.zeros(1, 3, 8, 8)
    report = ghostify.compare(model, ghostify.convert(model, x), (x, False))
    assert report.changed_macs == (0, 0)
    assert "nan" in str(report)


@dataclass
class Images:
    pixels: torch.Tensor


def test_torch_counts_what_fvcore_cannot_trace(small_net, image):
    class Wrapped(torch.nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, images):
            return self.net(images.pixels)

    example = Images(image)
    model = Wrapped(small_net)
    report = ghostify.compare(model, ghostify.convert(model, example), example)
    direct = ghostify.compare(small_net, ghostify.convert(small_net, image), image)
    assert report.before.counter == report.after.counter == "torch"
    assert "torch counts convolutions and matrix products" in str(report)
    assert report.before.conv_and_linear_macs == direct.before.conv_and_linear_macs
    assert report.after.conv_and_linear_macs == direct.after.conv_and_linear_macs


@pytest.fixture
def calibrated(small_net, image):
    return ghostify.convert(
        small_net, image, calibration=torch.randn(20, 3, 16, 16), outputs="classes"
    )


def test_fidelity(small_net, image, calibrated):
    report = ghostify.compare(small_net, calibrated, image)
    fidelity = Fidelity.find(calibrated)
    assert report.fidelity == fidelity
    lines = [" ".join(line.split()) for line in str(report).splitlines()]
    assert max(map(len, str(report).splitlines())) <= 80
    assert "Agreement with the original" in lines
    assert "images held out, before training 4" in lines
    assert f"same top-1 class {fidelity.score.agreement:.1%}" in lines
    assert f"KL divergence {fidelity.score.kl:.3g} nats" in lines
    assert "Initialization: calibrated, fitted to 16 images." in lines
    row = next(line for line in lines if line.startswith("wide"))
    assert float(row.split()[-1].rstrip("%")) == pytest.approx(
        100 * fidelity.residuals["wide"], abs=0.06
    )


def test_fidelity_in_json_and_csv(small_net, image, calibrated):
    report = ghostify.compare(small_net, calibrated, image)
    data = json.loads(report.to_json())
    assert Fidelity.from_dict(data["fidelity"]) == report.fidelity
    errors = {row["layer"]: row["error"] for row in data["layers"]}
    assert errors == {**report.fidelity.residuals, "stem": None, "depthwise": None}
    rows = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert [row["error"] for row in rows[2:]] == ["", ""]


def test_images_given_to_compare(small_net, image, calibrated):
    report = ghostify.compare(small_net, calibrated, image, data=torch.randn(7, 3, 16, 16))
    assert report.fidelity.score.images == 7
    assert report.fidelity.residuals == Fidelity.find(calibrated).residuals
    assert "images given to compare" in str(report)
    assert "held out" not in str(report)


def test_images_without_known_fidelity(small_net, image):
    converted = ghostify.convert(small_net, image, init="random")
    report = ghostify.compare(small_net, converted, image, data=torch.randn(7, 3, 16, 16))
    assert report.fidelity.score.images == 7
    assert "The cheap operations have random weights: train this network before use." in str(report)
    assert "unknown" not in str(report)


def test_random_weights_are_noted(small_net, image):
    converted = ghostify.convert(small_net, image, init="random")
    report = ghostify.compare(small_net, converted, image)
    assert "The cheap operations have random weights: train this network before use." in str(report)


def test_images_of_the_wrong_shape(small_net, image, calibrated):
    with pytest.raises(GhostifyError, match="channel count of 4 instead of 3"):
        ghostify.compare(small_net, calibrated, image, data=torch.zeros(2, 4, 16, 16))


@pytest.fixture
def pruned(pruned_plan):
    before, after = 64 * (432 + 9216 + 576 + 2048 + 512), 64 * (432 + 3060 + 360 + 960 + 384)
    counts = [Count(m // 64, m // 16, {"conv": m}, {}) for m in (before, after)]
    return Report("net", "1x3x8x8", site_rows(pruned_plan), *counts)


def test_a_pruned_network(pruned):
    text = str(pruned)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "net, input 1x3x8x8, s=2, d=3, 3 layers pruned"
    changed = lines.index("Changed: 4")
    assert lines[changed + 1] == "layer geometry channels map s, d parameters MACs factor"
    assert lines[changed + 3 : changed + 7] == [
        "a 3x3, 16→64 16→20+20 8x8 2, 3 9.22K→3.06K 590K→196K 3.01",
        "dw 3x3, 64→64, g=64 40→40 8x8 576→360 36.9K→23.0K 1.60",
        "b 1x1, 64→32 40→24 8x8 2.05K→960 131K→61.4K 2.13",
        "c 1x1, 32→16 24→16 8x8 512→384 32.8K→24.6K 1.33",
    ]
    assert "Kept: 1" in lines
    assert "Not prunable: 2" in lines
    assert "added to other feature maps c 1 4.0%" in lines
    assert "20+20: 20 intrinsic maps and 20 ghosts." in text
    assert all(table.fitted(80).width <= 80 for table in pruned.document().tables)


def test_equation_4_after_pruning(pruned):
    ideal = 40 * 144 / (144 / (72 + 4.5)) + 360 + 960 + 384
    assert pruned.eq4_speedup == pytest.approx((9216 + 576 + 2048 + 512) / ideal)
    assert pruned.changed_macs == (64 * (9216 + 576 + 2048 + 512), 64 * (3060 + 360 + 960 + 384))


def test_records_of_a_pruned_network(pruned):
    rows = {row["layer"]: row for row in csv.DictReader(io.StringIO(pruned.to_csv()))}
    assert (rows["a"]["inputs"], rows["a"]["outputs"], rows["a"]["ratio"]) == ("16", "40", "2")
    assert (rows["b"]["inputs"], rows["b"]["outputs"], rows["b"]["ratio"]) == ("40", "24", "")
    assert rows["c"]["unprunable"] == "added to other feature maps"
    assert rows["c"]["keep"] == "excluded"


def test_widths_alone(pruned_plan):
    decisions = (
        replace(d, ghost=None, keep="kept by the budget") if d.ghost else d
        for d in pruned_plan.decisions
    )
    count = Count(1, 4, {"conv": 64}, {})
    report = Report("net", "1x3x8x8", site_rows(Plan(tuple(decisions))), count, count)
    text = str(report)
    assert text.startswith("net, input 1x3x8x8, 3 layers pruned\n")
    assert "Eq. 4" not in text
    assert "cheap operations" not in text
    assert "Nothing makes up for the dropped channels: train this network before use." in text


def test_reasons_that_differ_in_layers_alone_are_one(pruned_plan):
    blocks = [
        replace(d, site=replace(d.site, name=name, unprunable=f"read by {name}.1, a Loop"))
        for d in pruned_plan.decisions[-1:]
        for name in ("layer1.0", "layer1.1")
    ]
    count = Count(1, 4, {"conv": 64}, {})
    plan = Plan((*pruned_plan.decisions[:-1], *blocks))
    report = Report("net", "1x3x8x8", site_rows(plan), count, count)
    table = next(table for table in report.document().tables if "Not prunable" in table.title)
    assert [(row[0], row[2]) for row in table.rows] == [
        ("depthwise", "1"), ("read by layer*.*.*, a Loop", "2")
    ]  # fmt: skip


def test_compare_narrows_the_sites_of_its_example(small_net, image):
    """The stem's width by hand in a plan; the model itself is that of the ghosts alone."""
    converted = ghostify.convert(small_net, image, init="random")
    region = Region(readers={"wide": 1})
    decisions = [
        Decision(replace(d.site, region=region), keep="by hand", width=10)
        if d.site.name == "stem" else d
        for d in Plan.of(converted).decisions
    ]  # fmt: skip
    Plan(tuple(decisions)).attach(converted)
    report = ghostify.compare(small_net, converted, torch.zeros(2, 3, 16, 16))
    rows = {row.site.name: row for row in report.sites}
    assert rows["stem"].macs == (2 * 256 * 16 * 27, 2 * 256 * 10 * 27)
    assert rows["wide"].macs[1] == 2 * 64 * (16 * 90 + 16 * 9)


def test_charts_of_a_pruned_network(pruned):
    assert [caption.split(":")[0] for caption, _ in pruned.charts()] == [
        "MACs of each layer", "Parameters of each layer"
    ]  # fmt: skip
    assert "saved by dropped channels" in pruned.charts()[0][0]
