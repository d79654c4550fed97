"""torch.export's archive, for AOTInductor and whatever else starts from an ``ExportedProgram``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.utils._pytree import tree_leaves, tree_unflatten

from ghostify.exporters.exporter import Exporter, Session


def _write(program: ExportedProgram, path: Path) -> None:
    torch.export.save(program, path)


def _open(path: Path, threads: int) -> Session:
    program = torch.export.load(path)
    module = program.module()
    example = program.example_inputs

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        left = iter(tensors)
        leaves = [next(left) if isinstance(v, Tensor) else v for v in tree_leaves(example)]
        args, kwargs = tree_unflatten(leaves, program.call_spec.in_spec)
        with torch.no_grad():
            return [leaf for leaf in tree_leaves(module(*args, **kwargs)) if _is_tensor(leaf)]

    return run


def _is_tensor(leaf: object) -> bool:
    return isinstance(leaf, Tensor)


TORCH_EXPORT = Exporter(".pt2", (), "export", _write, _open)
