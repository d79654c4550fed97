"""Export a network to a file, and verify that its runtime returns the same outputs."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, ShapesCollection
from torch.utils._pytree import tree_map_only

from ghostify.analysis.dry_run import dry_run, materialize
from ghostify.analysis.model_copy import frozen_copy
from ghostify.analysis.preserve import preserve_rng
from ghostify.deployment.deploy import deploy
from ghostify.deployment.exported import Exported
from ghostify.deployment.exporters import EXPORTERS, Exporter, exporter_for, quiet
from ghostify.deployment.int8 import check_int8, export_int8, read_images
from ghostify.deployment.prepare_int8 import prepare_int8
from ghostify.deployment.sink_concats import sink_concats
from ghostify.deployment.tensors import batch_size, resize_batch, tensors_of
from ghostify.deployment.verify_export import INPUTS, Errors, probes, verify
from ghostify.io.atomic import check_new, new_files
from ghostify.io.progress import progress_bar
from ghostify.types import Example, GhostifyError, split_example
from ghostify.types.errors import root_cause
from ghostify.types.outputs import OutputsLike
from ghostify.types.progress import ShowProgress


def capture(
    network: nn.Module, example: Example, *, any_batch: bool, int8: bool = False
) -> ExportedProgram:
    """Export a network in evaluation mode with ``torch.export`` and sink its concatenations.

    Args:
        network: the network.
        example: an input; the batch size is its own, or dynamic with ``any_batch``.
        any_batch: whether the batch size is dynamic.
        int8: whether the graph will be quantized.
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
    sink_concats(program, below_convolutions=not int8)  # INT8 would round the terms of the sums
    if int8:
        prepare_int8(program)
    return program


def export(
    model: nn.Module,
    example: Example,
    path: str | PathLike[str],
    *,
    to: str | None = None,
    int8: bool = False,
    calibration: Any = None,
    outputs: OutputsLike = None,
    max_divergence: float | None = None,
    force: bool = False,
    progress: ShowProgress = True,
) -> Exported:
    """Export ``model`` in its deployed form to a file for an inference runtime.

    The batch size is dynamic if model and format allow it; all other sizes are the example's. The
    file is run and its outputs are compared with the model's before it appears under its name.

    An INT8 file is quantized by ONNX Runtime or by NNCF for OpenVINO, after the float32 file was
    verified. It is compared with the model on calibration images that are held out.

    Args:
        model: the network, converted or not; it is not changed.
        example: an input, as in `analyze`.
        path: the file to write: ``.onnx``, ``.xml`` (OpenVINO, with a ``.bin`` file), ``.pt2``
            (torch.export) or ``.pte`` (ExecuTorch).
        to: the format: ``onnx``, ``openvino``, ``torch-export`` or ``executorch``. Default: the
            format of the file name ending.
        int8: quantize weights and activations to INT8, for ``onnx`` and ``openvino``.
        calibration: with ``int8``, images to measure the ranges of activations on, as in
            `ghostify.convert`: 100 to 500 of the example's size. A fifth is held out.
        outputs: with ``int8``, what the outputs are, as in `ghostify.convert`.
        max_divergence: largest KL divergence of INT8 from the model on the held-out images, in
            nats per image; of values, the squared error over the squared norm. Above it, nothing
            is written. Default: 0.3 nats, 0.05 of values.
        force: overwrite an existing file.
        progress: whether to show progress bars, or a function that is called with each `Progress`.

    Returns:
        What was written, with its errors on three inputs; of INT8, on the held-out images.

    Raises:
        GhostifyError: if the model cannot be exported to this format, or its outputs would differ;
            if a package is missing, or the file exists; if there are fewer than 10 calibration
            images, or INT8 differs by more than ``max_divergence``.
        OSError: if the file cannot be written.
    """
    model = materialize(model, example)
    path = Path(path)
    to, exporter = exporter_for(path, to)
    exporter.check_installed()
    check_new(path, force=force)
    check_int8(to, calibration, outputs, max_divergence, int8=int8)
    dry_run(model, example)
    if int8:
        images = read_images(model, example, calibration, outputs)
    with new_files(path) as target, preserve_rng(), progress_bar("exporting", progress) as report:
        report(0, None, f"to {path.name}")
        deployed = Deployed(model, example, int8=int8)
        if int8:
            with TemporaryDirectory() as folder:
                found = _write(deployed, Path(folder, path.name), to)
                found = export_int8(
                    found,
                    target,
                    deployed.original,
                    images,
                    max_divergence=max_divergence,
                    progress=progress,
                )
        else:
            found = _write(deployed, target, to)
        size = sum(file.stat().st_size for file in target.parent.iterdir())
    return replace(found, path=path, size=size)


def _write(deployed: Deployed, path: Path, to: str) -> Exported:
    """Write a network for any batch size, or else for the example's, and verify it."""
    exporter, note = EXPORTERS[to], ""
    size = batch_size(deployed.example)
    dynamic = exporter.any_batch and size is not None
    for any_batch in (True, False) if dynamic else (False,):
        try:
            errors = deployed.write(path, exporter, any_batch=any_batch)
            break
        except Exception as error:
            if isinstance(error, OSError) and error.errno:  # the disk is full, for one
                raise OSError(error.errno, error.strerror, path.name) from error
            reason = root_cause(error)
            if not any_batch:
                name = deployed.name
                raise GhostifyError(f"{name} cannot be exported to {to}: {reason}") from error
            note = f"the batch size is fixed: {reason}"
    return Exported(
        path=path,
        to=to,
        batch=None if any_batch else size,
        inputs=INPUTS,
        max_abs_error=errors.absolute,
        max_relative_error=errors.relative,
        note=note,
    )


class Deployed:
    """A network in evaluation mode, its deployed copy and an example, all on the CPU.

    With ``int8``, what it writes will be quantized.
    """

    def __init__(self, model: nn.Module, example: Example, *, int8: bool = False) -> None:
        self.name, self.int8 = type(model).__name__, int8
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
            program = capture(self.network, self.example, any_batch=any_batch, int8=self.int8)
            exporter.write(program, path)
            session = exporter.open(path, torch.get_num_threads())
            return verify(self.original, session, probes(self.example, any_batch=any_batch))
