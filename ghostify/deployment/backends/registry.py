"""Export formats by name."""

from __future__ import annotations

from pathlib import Path

from ghostify.deployment.backends.executorch import EXECUTORCH
from ghostify.deployment.backends.exporter import Exporter
from ghostify.deployment.backends.onnx import ONNX
from ghostify.deployment.backends.openvino import OPENVINO
from ghostify.deployment.backends.torch_export import TORCH_EXPORT
from ghostify.types import GhostifyError

EXPORTERS: dict[str, Exporter] = {
    "onnx": ONNX,
    "openvino": OPENVINO,
    "torch-export": TORCH_EXPORT,
    "executorch": EXECUTORCH,
}


def exporter_for(path: str | Path, to: str | None = None) -> tuple[str, Exporter]:
    """Return name and exporter of a format. Default: the format of the file ending.

    Raises:
        GhostifyError: if the format is unknown, or does not match the ending.
    """
    ending = Path(path).suffix
    if to is None:
        found = [name for name, exporter in EXPORTERS.items() if exporter.ending == ending]
        if not found:
            known = ", ".join(f"{e.ending} ({name})" for name, e in EXPORTERS.items())
            raise GhostifyError(f"export file ending {ending or '(none)'!r}: known are {known}")
        to = found[0]
    if to not in EXPORTERS:
        raise GhostifyError(f"unknown export format {to!r}: known are {', '.join(EXPORTERS)}")
    if ending != EXPORTERS[to].ending:
        raise GhostifyError(f"{to} needs a file name ending in {EXPORTERS[to].ending}, not {path}")
    return to, EXPORTERS[to]
