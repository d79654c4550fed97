"""Names of runtimes as their makers write them."""

from __future__ import annotations

_TITLES = {
    "eager": "PyTorch",
    "compile": "torch.compile",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "executorch": "ExecuTorch",
}
_INT8 = "-int8"


def runtime_title(runtime: str) -> str:
    """Return ``ONNX Runtime INT8`` for ``onnxruntime-int8``."""
    library = runtime.removesuffix(_INT8)
    return _TITLES.get(library, library) + (" INT8" if runtime.endswith(_INT8) else "")
