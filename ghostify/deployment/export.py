"""Export a network to a file, and verify that its runtime returns the same outputs."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, ShapesCollection
from torch.utils._pytree import tree_map_only

from ghostify.analysis.arguments import check_model
from ghostify.analysis.dry_run import dry_run, materialize
from ghostify.analysis.model_copy import frozen_copy
from ghostify.analysis.preserve import preserve_rng
from ghostify.deployment.deploy import deploy
from ghostify.deployment.exporters import Exporter, exporter_for, quiet
from ghostify.deployment.sink_concats import sink_concats
from ghostify.deployment.tensors import batch_size, resize_batch, tensors_of
from ghostify.deployment.verify_export import INPUTS, Errors, probes, verify
from ghostify.io.atomic import check_new, new_files
from ghostify.types import Example, GhostifyError, split_example
from ghostify.types.errors import root_cause


@dataclass(frozen=True)
class Exported:
    """A verified export.

    Attributes:
        path: the file; others may be next to it.
        to: name of the format.
        batch: the fixed batch size; None if any works.
        inputs: number of inputs on which it was verified.
        max_abs_error: largest absolute error of an output.
        max_relative_error: largest error of an output over its largest value.
        size: bytes of all files written.
        note: why the batch size is fixed, if the format supports any.
    """

    path: Path
    to: str
    batch: int | None
    inputs: int
    max_abs_error: float
    max_relative_error: float
    size: int
    note: str = ""

    def __str__(self) -> str:
        batch = "any batch" if self.batch is None else f"batch {self.batch}"
        return (
            f"{self.path}: {self.to}, {batch}; verified on {self.inputs} inputs, largest error "
            f"{self.max_abs_error:.1e} absolute, {self.max_relative_error:.1e} relative"
        )


def capture(network: nn.Module, example: Example, *, any_batch: bool) -> ExportedProgram:
    """Export a network in evaluation mode with ``torch.export`` and sink its concatenations.

    The batch size is dynamic with ``any_batch``, otherwise the example's.
    """
    shapes = ShapesCollection()  # type: ignore[no-untyped-call]
    if any_batch:
        example = resize_batch(example, 2)  # torch.export takes a size of 1 for a constant
        batch = Dim("batch", min=1)
        for tensor in tensors_of(example):
            if tensor.dim() and len(tensor) == 2:
                shapes[tensor] = {0: batch}
    args, kwargs = split_example(example)
    with torch.no_grad():
        program = torch.export.export(network, args, kwargs, dynamic_shapes=shapes, strict=False)
    sink_concats(program)
    return program


def export(
    model: nn.Module,
    example: Example,
    path: str | PathLike[str],
    *,
    to: str | None = None,
    force: bool = False,
) -> Exported:
    """Export ``model`` in its deployed form to a file for an inference runtime.

    The batch size is dynamic if model and format allow it; all other sizes are the example's. The
    file is run and its outputs are compared with the model's before it appears under its name.

    Args:
        model: the network, converted or not; it is not changed.
        example: an input, as in `analyze`.
        path: the file to write: ``.onnx``, ``.xml`` (OpenVINO, with a ``.bin`` file), ``.pt2``
            (torch.export) or ``.pte`` (ExecuTorch).
        to: the format: ``onnx``, ``openvino``, ``torch-export`` or ``executorch``. Default: the
            format of the file name ending.
        force: overwrite an existing file.

    Returns:
        What was written, with its errors on three inputs.

    Raises:
        GhostifyError: if the model cannot be exported to this format, or its outputs would differ;
            if a package is missing, or the file exists.
        OSError: if the file cannot be written.
    """
    check_model(model)
    path = Path(path)
    to, exporter = exporter_for(path, to)
    exporter.check_installed()
    check_new(path, force=force)
    dry_run(model, example)
    deployed = Deployed(model, example)
    note = ""
    with new_files(path) as target, preserve_rng():
        dynamic = exporter.any_batch and batch_size(example) is not None
        for any_batch in (True, False) if dynamic else (False,):
            try:
                errors = deployed.write(target, exporter, any_batch=any_batch)
                break
            except Exception as error:
                reason = root_cause(error)
                if not any_batch:
                    name = type(model).__name__
                    raise GhostifyError(f"{name} cannot be exported to {to}: {reason}") from error
                note = f"the batch size is fixed: {reason}"
        size = sum(file.stat().st_size for file in target.parent.iterdir())
    return Exported(
        path=path,
        to=to,
        batch=None if any_batch else batch_size(example),
        inputs=INPUTS,
        max_abs_error=errors.absolute,
        max_relative_error=errors.relative,
        size=size,
        note=note,
    )


class Deployed:
    """A network in evaluation mode, its deployed copy and an example, all on the CPU."""

    def __init__(self, model: nn.Module, example: Example) -> None:
        original = frozen_copy(materialize(model, example))
        network = deploy(original, example, memory_format=torch.contiguous_format)
        self.original, self.network = original.cpu(), network.cpu()
        self.example: Example = tree_map_only(Tensor, lambda t: t.detach().cpu(), example)

    def write(self, path: Path, exporter: Exporter, *, any_batch: bool) -> Errors:
        """Write the deployed network, run the file, and compare it with the original network.

        May raise any exception of torch or the runtime for a network they do not support.
        """
        for leftover in path.parent.iterdir():  # of a failed attempt
            leftover.unlink()
        with quiet():
            exporter.write(capture(self.network, self.example, any_batch=any_batch), path)
            session = exporter.open(path, torch.get_num_threads())
            return verify(self.original, session, probes(self.example, any_batch=any_batch))
