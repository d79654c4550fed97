"""The charts of the page as files."""

from dataclasses import replace

import pytest
from PIL import Image

import ghostify
from ghostify.report.charts import Curve, Plot
from ghostify.report.html.charts import page_plots
from ghostify.report.html.summary import ArtifactSummary


def test_the_curves_of_a_recovery(artifact, make):
    make.train(artifact)
    plots = page_plots(ArtifactSummary(artifact))
    loss = Curve("this network", ((1, 1), (2, 0.5)), "ghost", line=True)
    kept = Curve("epoch 2, kept", ((2, 0.5),), "current", ("epoch 2, kept",))
    assert plots["recovery-loss"] == Plot("Loss", "epoch", "loss", (loss, kept), whole=True)
    own = Curve("this network", ((0, 0.9), (1, 0.905), (2, 0.91)), "ghost", line=True)
    original = Curve("original", ((0, 0.92), (2, 0.92)), "original", line=True)
    label = "Top-1 accuracy"
    curves = (own, original, replace(kept, points=((2, 0.91),)))
    assert plots["recovery-score"] == Plot(label, "epoch", label, curves, True, True)
    assert "plans" not in plots


@pytest.mark.parametrize(("others", "name"), [(0, "original"), (50, "original, on other images")])
def test_epochs_are_scored_on_the_images_that_choose(artifact, make, others, name):
    make.train(artifact)
    score = {"images": 50, "top1": 0.875}
    selection = {"kind": "held-out", "images": 50, "others": others, "given": score, "best": score}
    make.change(artifact, lambda recipe: recipe["recovery"].update(selection=selection))
    own, original, _ = page_plots(ArtifactSummary(artifact))["recovery-score"].curves
    assert own.points[0] == (0, 0.875)
    assert original.name == name


def test_weights_as_given_are_marked_at_epoch_0(artifact, make):
    make.train(artifact)
    make.change(artifact, lambda recipe: recipe["recovery"].update(best_epoch=0))
    plots = page_plots(ArtifactSummary(artifact))
    kept = plots["recovery-score"].curves[-1]
    assert (kept.name, kept.points) == ("as given, kept", ((0, 0.9),))
    assert [curve.name for curve in plots["recovery-loss"].curves] == ["this network"]


def without_top1(recipe):
    """A divergence decides, and the agreement is drawn."""
    recovery = recipe["recovery"]
    for place, score in enumerate(("converted", "recovered", "original")):
        recovery[score] |= {"top1": None, "kl": 0.5 - place / 10, "agreement": 0.7 + place / 10}
    for record in recovery["history"]:
        record["score"] = {"images": 50, "kl": 0.3, "agreement": 0.75 + record["epoch"] / 100}


def test_the_agreement_is_drawn_for_a_divergence(artifact, make):
    make.train(artifact)
    make.change(artifact, without_top1)
    plot = page_plots(ArtifactSummary(artifact))["recovery-score"]
    assert plot.title == "Agreement with the original"
    assert plot.percent
    assert plot.curves[0].points == ((0, 0.7), (1, 0.76), (2, 0.77))
    assert plot.curves[1].points[0] == (0, pytest.approx(0.9))


def test_the_points_of_plans(measured):
    plot = page_plots(ArtifactSummary(measured))["plans"]
    per_layer, uniform, current = plot.curves
    assert (per_layer.name, per_layer.role) == ("chosen per layer", "ghost")
    assert per_layer.points == ((30_000, 0.94),)
    assert per_layer.tooltips == ("macs=0.5\n30.0K MACs, 94.0%",)
    assert (uniform.name, uniform.role) == ("one s for all layers", "original")
    assert uniform.points == ((30_000, 0.875),)
    macs = sum(row.macs[1] for row in ArtifactSummary(measured).report.sites)
    assert (current.role, current.points) == ("current", ((macs, 0.95),))
    assert not any(curve.line for curve in plot.curves)
    assert plot.percent
    assert plot.y == "share of images with the same top-1 class as the original"


def test_the_point_of_a_trained_network_is_that_of_its_conversion(measured, make):
    assert page_plots(ArtifactSummary(measured))["plans"].curves[-1].name == "this network"
    make.train(measured)
    curve = page_plots(ArtifactSummary(measured))["plans"].curves[-1]
    assert (curve.name, *curve.tooltips) == 2 * ("this network, before training",)


def test_a_file_for_each_chart(measured):
    pytest.importorskip("matplotlib")
    folder = measured.parent / "some" / "plots"
    ghostify.write_report(measured, plots=folder)
    names = ("macs", "params", "plans", "speed")
    assert {file.name for file in folder.iterdir()} == {
        f"{name}.{ending}" for name in names for ending in ("png", "svg")
    }
    for file in folder.glob("*.png"):
        with Image.open(file) as image:
            assert min(image.size) > 200
    assert "body.0.conv" in (folder / "macs.svg").read_text(encoding="utf-8")
