"""OpenVINO's own form: a graph in ``.xml`` and weights in ``.bin`` beside it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from ghostify.deployment.backends.exporter import Exporter, Session


def _write(program: ExportedProgram, path: Path) -> None:
    import openvino

    openvino.save_model(openvino.convert_model(program), path, compress_to_fp16=False)


def _open(path: Path, threads: int) -> Session:
    """Computes in the weights' own precision, where OpenVINO alone might take bfloat16."""
    compiled = _core().compile_model(
        path,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
        },
    )
    request = compiled.create_infer_request()

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        found = request.infer([tensor.detach().numpy() for tensor in tensors], share_inputs=True)
        return [torch.as_tensor(array) for array in found.to_tuple()]

    return run


@cache
def _core() -> Any:
    """One that stays: where several go, signals are left a stack that is no longer there.

    The CPU plugin of each sets an alternate signal stack and puts back the one before it, which may
    be that of a core that has gone. The next signal, such as Ctrl-C, then ends the process.
    """
    import openvino

    return openvino.Core()


OPENVINO = Exporter(".xml", ("openvino",), "export", _write, _open)
