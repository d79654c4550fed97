"""Export formats: how to write a captured graph to a file, and how to run the file."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.export import ExportedProgram

from ghostify.deployment.tensors import replace_tensors, tensors_of
from ghostify.types import GhostifyError
from ghostify.types.errors import install

Session: TypeAlias = Callable[[Sequence[Tensor]], list[Tensor]]
"""Runs a network: the tensors of an example in, those of the output out, in order."""


@dataclass(frozen=True)
class Exporter:
    """One export format.

    Attributes:
        ending: file name ending, such as ``.onnx``.
        needs: packages that writing and running import.
        write: writes a captured graph to a file, and possibly more files next to it.
        open: opens the file with a number of threads. ``torch-export`` ignores the number: it uses
            torch's threads.
        extra: the extra of ghostify that installs the packages.
        any_batch: whether the format supports a dynamic batch size.
    """

    ending: str
    needs: tuple[str, ...]
    write: Callable[[ExportedProgram, Path], None]
    open: Callable[[Path, int], Session]
    extra: str = "export"
    any_batch: bool = True

    def check_installed(self) -> None:
        """Raise a `GhostifyError` that says what to install, if a package is missing."""
        for package in self.needs:
            if find_spec(package) is None:
                raise GhostifyError(f"{self.ending} files need {package}: {install(self.extra)}")


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress what Python code prints, logs or warns of."""
    disabled, silent = logging.root.manager.disable, io.StringIO()
    logging.disable(logging.CRITICAL)
    try:
        ignored = warnings.catch_warnings(action="ignore")
        with ignored, redirect_stdout(silent), redirect_stderr(silent):
            yield
    finally:
        logging.disable(disabled)


def _write_onnx(program: ExportedProgram, path: Path) -> None:
    """Write the opset of torch's exporter. Weights over 2 GB go to a file next to ``path``."""
    from onnxscript import optimizer

    outputs = program.graph_signature.user_outputs
    names = ["output"] if len(outputs) == 1 else [f"output_{i}" for i in range(len(outputs))]
    written = torch.onnx.export(program, (), dynamo=True, verbose=False, output_names=names)
    assert written is not None
    # Without size limits, so that slices of weights become weights and not operators.
    optimizer.fold_constants(written.model, input_size_limit=2**62, output_size_limit=2**62)
    written.save(path)


def _open_onnx(path: Path, threads: int) -> Session:
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


def _write_openvino(program: ExportedProgram, path: Path) -> None:
    import openvino

    network = openvino.convert_model(program)
    shapes = {}
    for number, tensor in enumerate(_inputs_of(program)):
        sizes = [size if isinstance(size, int) else -1 for size in tensor.shape]
        shapes[number] = openvino.PartialShape(sizes)
    network.reshape(shapes)  # all are dynamic else, for which the CPU has fewer kernels
    openvino.save_model(network, path, compress_to_fp16=False)


def _inputs_of(program: ExportedProgram) -> list[Tensor]:
    """Return the inputs with the shapes of the graph, of which a batch size may be symbolic."""
    names = program.graph_signature.user_inputs
    nodes = {node.name: node for node in program.graph.nodes}
    return [nodes[name].meta["val"] for name in names if isinstance(name, str)]


def _open_openvino(path: Path, threads: int) -> Session:
    """Compute in float32; OpenVINO's default may be bfloat16."""
    config: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    config["INFERENCE_NUM_THREADS"] = threads
    request = openvino_core().compile_model(path, "CPU", config).create_infer_request()

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        found = request.infer([tensor.detach().numpy() for tensor in tensors], share_inputs=True)
        return [torch.as_tensor(array) for array in found.to_tuple()]

    return run


@cache
def openvino_core() -> Any:
    """Return one core that is never deleted.

    The CPU plugin of each core sets an alternate signal stack, and upon deletion restores the one
    before it, which may belong to a deleted core. The next signal, such as Ctrl-C, then crashes.
    """
    import openvino

    return openvino.Core()


def _write_torch(program: ExportedProgram, path: Path) -> None:
    """Write from memory: torch's own file writer aborts the process where the disk is full."""
    content = io.BytesIO()
    torch.export.save(program, content)
    path.write_bytes(content.getbuffer())


def _open_torch(path: Path, threads: int) -> Session:
    program = torch.export.load(path)
    return torch_session(program.module(), program.example_inputs)


def torch_session(
    network: Callable[..., object], inputs: tuple[tuple[Any, ...], Mapping[str, Any]]
) -> Session:
    """Return a session of a PyTorch network that is called with such ``(args, kwargs)``."""

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        args, kwargs = replace_tensors(inputs, tensors)
        with torch.no_grad():
            return tensors_of(network(*args, **kwargs))

    return run


def _write_executorch(program: ExportedProgram, path: Path) -> None:
    """Use XNNPACK for the operators that it supports."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path.write_bytes(lowered.to_executorch().buffer)


def _open_executorch(path: Path, threads: int) -> Session:
    from executorch.extension.pybindings import portable_lib
    from executorch.runtime import Runtime

    portable_lib._unsafe_reset_threadpool(threads)
    forward = Runtime.get().load_program(path).load_method("forward")
    return lambda tensors: [leaf.clone() for leaf in forward.execute(list(tensors))]


EXPORTERS: dict[str, Exporter] = {
    "onnx": Exporter(".onnx", ("onnx", "onnxscript", "onnxruntime"), _write_onnx, _open_onnx),
    "openvino": Exporter(".xml", ("openvino",), _write_openvino, _open_openvino),
    "torch-export": Exporter(".pt2", (), _write_torch, _open_torch),
    # Memory is planned at export for the largest batch, so only the example's batch size works.
    "executorch": Exporter(
        ".pte", ("executorch",), _write_executorch, _open_executorch, "executorch", any_batch=False
    ),
}
"""Export formats by name."""


def exporter_for(path: str | Path, to: str | None = None) -> tuple[str, Exporter]:
    """Return name and exporter of a format. Default: the format of the file ending."""
    ending = Path(path).suffix
    if to is None:
        found = [name for name, exporter in EXPORTERS.items() if exporter.ending == ending]
        if not found:
            known = ", ".join(f"{e.ending} ({name})" for name, e in EXPORTERS.items())
            raise GhostifyError(f"export file ending {ending or '(none)'!r}: known are {known}")
        to = found[0]
    if to not in EXPORTERS:
        raise GhostifyError(f"unknown export format {to!r}: known are {', '.join(EXPORTERS)}")
    if ending != EXPORTERS[to].ending:
        raise GhostifyError(f"{to} needs a file name ending in {EXPORTERS[to].ending}, not {path}")
    return to, EXPORTERS[to]
