"""What has not been done with an artifact yet, as commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import NamedTuple

from ghostify.report.html.summary import ArtifactSummary

_LIBRARIES = ("torchvision", "timm", "ghostify")


class Step(NamedTuple):
    """A command and its purpose."""

    purpose: str
    command: str


def next_steps(summary: ArtifactSummary) -> list[Step]:
    """Return a step for each measurement that is missing; the last one updates the page."""
    folder, model = summary.folder.name or str(summary.folder), _model(summary)
    steps = [Step(*step) for step in _missing(summary, folder, model)]
    return [*steps, Step("Update this page", _command("report", folder))]


def _missing(
    summary: ArtifactSummary, folder: str, model: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    data = (folder, "--data", "images", *_weights(summary), *model)
    if not summary.whole_network:
        yield "Count the costs of the whole network", _command("compare", folder, *model)
    if not summary.evaluations and not summary.is_random:
        yield "Score it on labeled images, with the original", _command("evaluate", *data)
    if summary.recipe.recovery is None and not summary.is_random:
        purpose = "Recover accuracy by training, with the original as teacher"
        yield purpose, _command("recover", *data)
    if not summary.is_timed:
        runtimes = ("--runtime", "onnxruntime,openvino")
        purpose = "Compare its latency with the original's"
        yield purpose, _command("benchmark", folder, *runtimes, *model)
    exported = {(export["to"], bool(export["kept"])) for export in summary.exports}
    for to, title in (("onnx", "ONNX"), ("openvino", "OpenVINO")):
        if (to, False) not in exported:
            yield f"Export it to {title}", _command("export", folder, "--to", to, *model)
    if ("onnx", False) in exported and not any(is_int8 for _, is_int8 in exported):
        int8 = ("--to", "onnx", "--int8", "--calibration", "images")
        yield "Quantize it to INT8", _command("export", folder, *int8, *model)
    if not summary.feature_maps:
        image = ("--image", "image.jpg")
        yield "Show the feature maps of an image here", _command("report", folder, *image, *model)


def _command(*words: str) -> str:
    return shlex.join(("ghostify", *words))


def _model(summary: ArtifactSummary) -> tuple[str, ...]:
    """Return the options that commands need for an artifact of the user's own code."""
    source = summary.recipe.source
    if source is None:
        return ("--model", "FILE.py:FACTORY", "--input", "CxHxW")
    prefix, colon, _ = source.name.rpartition(":")
    return ("--model", source.name) if colon and prefix not in _LIBRARIES else ()


def _weights(summary: ArtifactSummary) -> tuple[str, ...]:
    """Return the option that commands need if the recipe does not know the original's weights."""
    known = summary.recipe.original
    found = known is not None and (known.file is not None or known.name is not None)
    return () if found else ("--weights", "original.safetensors")
