"""OpenVINO IR: a graph in ``.xml`` and weights in ``.bin``."""

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
    """Compute in float32; OpenVINO's default may be bfloat16."""
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
    """Return one core that is never deleted.

    The CPU plugin of each core sets an alternate signal stack, and upon deletion restores the one
    before it, which may belong to a deleted core. The next signal, such as Ctrl-C, then crashes.
    """
    import openvino

    return openvino.Core()


OPENVINO = Exporter(".xml", ("openvino",), "export", _write, _open)
