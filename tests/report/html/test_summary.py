"""What is known of an artifact without its weights."""

from dataclasses import replace

import pytest

from ghostify import GhostSpec
from ghostify.io.measurements import record
from ghostify.report.compression import Compression
from ghostify.report.html.summary import ArtifactSummary
from ghostify.report.timing import Measurement, Spread, Timing
from ghostify.types import Score, Trial


def add_timing(folder, part, macs, size="1x3x8x8", device="A CPU"):
    one = Spread(1, 1, 1)
    pair = tuple(Measurement(name, part, 1, 1, 9, one, one, device=device) for name in macs)
    record(folder, "timing", Timing(size, macs, "bytes", pair).to_dict(), part=part)


def test_timings_of_the_same_networks_are_one(artifact):
    for part in ("eager", "openvino", "onnxruntime"):
        add_timing(artifact, part, {"net": 4, "out": 2})
    (timing,) = ArtifactSummary(artifact).timings
    assert len(timing.measurements) == 6
    assert {m.runtime for m in timing.measurements} == {"eager", "openvino", "onnxruntime"}


@pytest.mark.parametrize(
    ("macs", "size", "device"),
    [
        ({"net": 4, "out": 2}, "1x3x9x9", "A CPU"),
        ({"net": 4, "out": 3}, "1x3x8x8", "A CPU"),
        ({"other": 4, "out": 2}, "1x3x8x8", "A CPU"),
        ({"net": 4, "out": 2}, "1x3x8x8", "A GPU"),
    ],
)
def test_other_timings_are_not(artifact, macs, size, device):
    add_timing(artifact, "eager", {"net": 4, "out": 2})
    add_timing(artifact, "openvino", macs, size, device)
    timings = ArtifactSummary(artifact).timings
    assert [len(timing.measurements) for timing in timings] == [2, 2]


def test_the_options_of_a_plan(artifact, make):
    assert ArtifactSummary(artifact).plan_options == "budget macs=0.5, s = 2, d = 3"

    def change(recipe):
        recipe["options"] = {"budget": ["macs=0.5", "params=1M"], "runtime": "openvino"}
        layers = [e for e in recipe["plan"]["layers"].values() if "ghost" in e]
        layers[0]["ghost"] = GhostSpec(4, 5).to_dict() if hasattr(GhostSpec, "to_dict") else {
            "ratio": 4, "dw_size": 5
        }  # fmt: skip

    make.change(artifact, change)
    assert ArtifactSummary(artifact).plan_options == (
        "budget macs=0.5 and params=1M, for openvino, s = 2 to 4, d = 3 to 5"
    )


RANDOM = "The cheap operations have random weights: train this network before use."


def test_an_untrained_network(artifact, make):
    assert ArtifactSummary(artifact).warning is None
    make.change(artifact, lambda recipe: recipe["fidelity"].update(init="random"))
    assert ArtifactSummary(artifact).warning == RANDOM
    make.change(artifact, lambda recipe: recipe.update(lineage=["converted", "recovered"]))
    assert ArtifactSummary(artifact).warning is None


def test_an_original_with_random_weights(artifact, make):
    original = {"digest": "0", "trained": False}
    lineage = ["converted", "recovered"]
    make.change(artifact, lambda recipe: recipe.update(original=original, lineage=lineage))
    assert ArtifactSummary(artifact).warning.startswith("This network was converted from random")


def test_the_processors_of_all_timings(artifact):
    assert ArtifactSummary(artifact).devices == ""
    add_timing(artifact, "eager", {"net": 4, "out": 2})
    add_timing(artifact, "compile", {"net": 4, "out": 2})
    add_timing(artifact, "openvino", {"net": 4, "out": 2}, device="A GPU")
    assert ArtifactSummary(artifact).devices == "A CPU, A GPU"


def test_inputs_of_exports(artifact):
    export = {
        "path": "out.onnx", "to": "onnx", "batch": None, "inputs": 3, "max_abs_error": 1e-6,
        "max_relative_error": 1e-7, "size": 2345, "note": "",
    }  # fmt: skip
    record(artifact, "export", export, part="onnx")
    summary = ArtifactSummary(artifact)
    assert (summary.export_inputs, summary.has_int8) == ("3 inputs", False)
    score = {"images": 40, "agreement": 0.9, "kl": 0.1, "relative_error": 0.2}
    record(artifact, "export", export | {"inputs": 40, "score": score}, part="onnx-int8")
    summary = ArtifactSummary(artifact)
    assert summary.has_int8
    assert summary.export_inputs == "3 inputs and on 40 held-out images (INT8)"


def test_an_int8_file_of_a_compression_is_what_is_scored(measured):
    score, trained = Score(50, top1=0.875), Score(50, top1=0.9)
    trial = Trial("original", "original", None, 0, 64_000, 1000, score, 0, None, None, 1)
    summary = ArtifactSummary(measured)
    evaluation, timing = summary.evaluations[0], summary.timings[0]
    timing = replace(timing, measurements=timing.measurements[:2])
    compression = Compression(1, None, trial, (trial,), trial, evaluation, timing, True)
    record(measured, "compression", compression.to_dict())
    assert [*ArtifactSummary(measured).evaluations[0].rows] == ["original", "converted"]
    record(measured, "compression", replace(compression, exported=score).to_dict())
    rows = ArtifactSummary(measured).evaluations[0].rows
    assert [*rows] == ["original", "converted", "converted, INT8"]
    assert (rows["converted"].score, rows["converted, INT8"].score) == (trained, score)
    others = replace(compression, exported=score, evaluation=replace(evaluation, data="others"))
    record(measured, "compression", others.to_dict())
    assert [*ArtifactSummary(measured).evaluations[0].rows] == ["original", "converted"]


def test_without_counts_the_convolutions_are_counted(artifact):
    summary = ArtifactSummary(artifact)
    rows = summary.report.sites
    for side, count in enumerate((summary.report.before, summary.report.after)):
        assert count.params == sum(row.params[side] for row in rows)
        assert count.macs == {"conv": sum(row.macs[side] for row in rows)}
        assert count.weight_bytes == 4 * count.params
    assert summary.report.after.params < summary.report.before.params
    assert not summary.whole_network
