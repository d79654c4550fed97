"""ONNX, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from ghostify.deployment.backends.exporter import Exporter, Session

_ANY_SIZE = 2**62


def _write(program: ExportedProgram, path: Path) -> None:
    """Write the opset of torch's exporter. Weights over 2 GB go to a file next to ``path``."""
    from onnxscript import optimizer

    outputs = program.graph_signature.user_outputs
    names = ["output"] if len(outputs) == 1 else [f"output_{i}" for i in range(len(outputs))]
    written = torch.onnx.export(program, (), dynamo=True, verbose=False, output_names=names)
    assert written is not None
    # Without size limits, so that slices of weights become weights and not operators.
    optimizer.fold_constants(written.model, input_size_limit=_ANY_SIZE, output_size_limit=_ANY_SIZE)
    written.save(path)


def _open(path: Path, threads: int) -> Session:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Spinning threads would slow down whatever runs next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        arrays = (tensor.detach().numpy() for tensor in tensors)
        found = session.run(None, dict(zip(names, arrays, strict=True)))
        return [torch.as_tensor(array) for array in found]

    return run


ONNX = Exporter(".onnx", ("onnx", "onnxscript", "onnxruntime"), "export", _write, _open)
