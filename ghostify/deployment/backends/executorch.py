"""ExecuTorch, for phones and boards, with XNNPACK for the operators that it supports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor
from torch.export import ExportedProgram

from ghostify.deployment.backends.exporter import Exporter, Session


def _write(program: ExportedProgram, path: Path) -> None:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path.write_bytes(lowered.to_executorch().buffer)


def _open(path: Path, threads: int) -> Session:
    from executorch.extension.pybindings import portable_lib
    from executorch.runtime import Runtime

    portable_lib._unsafe_reset_threadpool(threads)
    forward = Runtime.get().load_program(path).load_method("forward")

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        return [leaf.clone() for leaf in forward.execute(list(tensors))]

    return run


# Memory is planned at export for the largest batch, so only the example's batch size works.
EXECUTORCH = Exporter(".pte", ("executorch",), "executorch", _write, _open, any_batch=False)
