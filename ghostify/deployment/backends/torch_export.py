"""torch.export archive, for AOTInductor and others that read an ``ExportedProgram``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from ghostify.deployment.backends.exporter import Exporter, Session
from ghostify.deployment.backends.tensors import replace_tensors, tensors_of


def _write(program: ExportedProgram, path: Path) -> None:
    torch.export.save(program, path)


def _open(path: Path, threads: int) -> Session:
    program = torch.export.load(path)
    module, example = program.module(), program.example_inputs

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        args, kwargs = replace_tensors(example, tensors)
        with torch.no_grad():
            return tensors_of(module(*args, **kwargs))

    return run


TORCH_EXPORT = Exporter(".pt2", (), "export", _write, _open)
