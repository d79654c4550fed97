"""Write a network for a runtime, and see that the runtime gives what the network gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, ShapesCollection
from torch.utils._pytree import tree_map_only

from ghostify.analysis.arguments import check_model
from ghostify.analysis.dry_run import dry_run, materialize
from ghostify.analysis.model_copy import frozen_copy
from ghostify.analysis.preserve import preserve_rng
from ghostify.deployment.backends.exporter import Exporter
from ghostify.deployment.backends.registry import exporter_for
from ghostify.deployment.backends.tensors import batch_of, batch_size, tensors_of
from ghostify.deployment.deploy import deploy
from ghostify.deployment.quiet import quiet
from ghostify.deployment.sink_concats import sink_concats
from ghostify.deployment.verify_export import INPUTS, Errors, probes, verify
from ghostify.io.atomic import check_new, new_files
from ghostify.types import Example, GhostifyError, split_example
from ghostify.types.errors import root_cause


@dataclass(frozen=True)
class Exported:
    """A file that gives what the network gives.

    Attributes:
        path: of the file; others may lie beside it.
        to: its form.
        batch: the size of batch that it takes, or None for any.
        inputs: how many inputs it was verified on.
        max_abs_error: largest difference of any output number.
        max_relative_error: largest difference over the largest number of the same output.
        size: bytes of all files that were written.
        note: why the size of the batch is fixed, where it could not be left open.
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


def captured(network: nn.Module, example: Example, *, any_batch: bool) -> ExportedProgram:
    """The graph of ``network`` in evaluation mode.

    Args:
        network: a copy that nothing else uses.
        any_batch: leave the size of the batch open, instead of the example's.
    """
    shapes = ShapesCollection()  # type: ignore[no-untyped-call]
    if any_batch:
        example = batch_of(example, 2)  # a size of 1 would be taken for a constant
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
    path: str | Path,
    *,
    to: str | None = None,
    force: bool = False,
) -> Exported:
    """Write ``model``, in evaluation mode, to a file for a runtime.

    The size of the batch is left open where the model and the form allow it; all other sizes are
    the example's. What was written is run by its runtime and compared with the model before it
    takes its place, and is never there in part.

    Args:
        model: the network, converted or not; it is not changed.
        example: an input, as in `analyze`.
        path: the file to write: ``.onnx``, ``.xml`` (OpenVINO, with ``.bin`` beside it), ``.pt2``
            (torch.export), ``.pte`` (ExecuTorch).
        to: a name of `exporters.EXPORTERS`; by default what the ending says.
        force: replace a file that is there already.

    Returns:
        What was written, with the errors that were measured on three inputs.

    Raises:
        GhostifyError: if the model cannot be written in this form, or gives other outputs there;
            if a package is missing, or the file exists.
        OSError: if it cannot be written.
    """
    check_model(model)
    path = Path(path)
    to, exporter = exporter_for(path, to)
    exporter.check_installed()
    check_new(path, force=force)
    dry_run(model, example)
    form = Form.of(model, example)
    example = tree_map_only(Tensor, lambda tensor: tensor.detach().cpu(), example)
    any_batch, note = exporter.any_batch and batch_size(example) is not None, ""
    with new_files(path) as beside, preserve_rng():
        if any_batch:
            try:
                errors = write_verified(form, example, beside, exporter, any_batch=True)
            except Exception as error:
                any_batch = False
                note = f"the size of the batch cannot be left open: {root_cause(error)}"
        if not any_batch:
            try:
                errors = write_verified(form, example, beside, exporter, any_batch=False)
            except Exception as error:
                name = type(model).__name__
                raise GhostifyError(f"{name} cannot go to {to}: {root_cause(error)}") from error
        size = sum(file.stat().st_size for file in beside.parent.iterdir())
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


@dataclass(frozen=True)
class Form:
    """A network on the processor.

    Attributes:
        original: in evaluation mode.
        network: its inference form, which is what is written.
    """

    original: nn.Module
    network: nn.Module

    @classmethod
    def of(cls, model: nn.Module, example: Example) -> Form:
        original = frozen_copy(materialize(model, example))
        network = deploy(original, example, memory_format=torch.contiguous_format)
        return cls(original.cpu(), network.cpu())


def write_verified(
    form: Form, example: Example, path: Path, exporter: Exporter, *, any_batch: bool
) -> Errors:
    """Write a network's inference form, open what was written, and compare it with the original.

    Raises:
        GhostifyError: if outputs differ.
        Exception: whatever torch or the runtime raise at a network they cannot take.
    """
    for leftover in path.parent.iterdir():  # of an attempt that failed
        leftover.unlink()
    with quiet():
        program = captured(frozen_copy(form.network), example, any_batch=any_batch)
        exporter.write(program, path)
        session = exporter.open(path, torch.get_num_threads())
        return verify(form.original, session, probes(example, any_batch=any_batch))
