"""How the plan was made, and commands for the next steps."""

from __future__ import annotations

import shlex

from ghostify.report.html.summary import ArtifactSummary
from ghostify.types import ModelSource

_LIBRARIES = ("torchvision", "timm", "ghostify")

_COMMANDS = {
    "Compare the outputs with the original's on your images":
        "compare {folder} --data images --weights original.safetensors{own}",
    "Recover accuracy by training, with the original as teacher":
        "recover {folder} --data images --weights original.safetensors{own}",
    "Evaluate on labelled images, together with the original":
        "evaluate {folder} --data images --weights original.safetensors{own}",
    "Compare the latency with the original's":
        "benchmark {folder} --runtime onnxruntime,openvino{own}",
    "Export to ONNX, verified": "export {folder} --to onnx{own}",
    "Export to OpenVINO, verified": "export {folder} --to openvino{own}",
    "Add the feature maps of an image to this page":
        "report {folder} --image image.jpg -o report.html{own}",
    "Update this page with new measurements": "report {folder} -o report.html",
}  # fmt: skip


def commands(summary: ArtifactSummary) -> list[tuple[str, str]]:
    """Return next steps, and the command for each."""
    fields = {
        "folder": shlex.quote(summary.folder.name or str(summary.folder)),
        "own": _own_code(summary.source),
    }
    return [(use, f"ghostify {command.format(**fields)}") for use, command in _COMMANDS.items()]


def plan_options(summary: ArtifactSummary) -> str:
    """Describe the plan: budget, runtime, and the ranges of s and d."""
    parts = []
    if isinstance(budgets := summary.options.get("budget"), list):
        parts.append(f"budget {' and '.join(map(str, budgets))}")
    if runtime := summary.options.get("runtime"):
        parts.append(f"for {runtime}")
    ghosts = [row.ghost for row in summary.report.sites if row.ghost]
    for letter, numbers in (("s", [g.ratio for g in ghosts]), ("d", [g.dw_size for g in ghosts])):
        if numbers:
            least, most = min(numbers), max(numbers)
            parts.append(f"{letter} = {least:.4g}" + (f" to {most:.4g}" if most > least else ""))
    return ", ".join(parts)


def _own_code(source: ModelSource | None) -> str:
    """Return the options that an artifact of the user's own code needs."""
    if source is None:
        return " --model FILE.py:FACTORY --input CxHxW"
    prefix, colon, _ = source.name.rpartition(":")
    return f" --model {shlex.quote(source.name)}" if colon and prefix not in _LIBRARIES else ""
