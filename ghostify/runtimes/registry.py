"""The runtimes, by name."""

from __future__ import annotations

from ghostify.runtimes.exported import exported
from ghostify.runtimes.in_torch import compiled, eager
from ghostify.runtimes.runtime import Runtime
from ghostify.spec import GhostifyError

RUNTIMES: dict[str, Runtime] = {
    "eager": Runtime(eager),
    "compile": Runtime(compiled),
    "onnxruntime": exported("onnx"),
    "openvino": exported("openvino"),
    "executorch": exported("executorch"),
}


def runtime_named(name: str) -> Runtime:
    """The runtime of that name.

    Raises:
        GhostifyError: if there is none, with those that there are.
    """
    if name not in RUNTIMES:
        raise GhostifyError(f"unknown runtime {name!r}: known are {', '.join(RUNTIMES)}")
    return RUNTIMES[name]
