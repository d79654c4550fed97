"""Runtimes that `benchmark` runs networks in, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import torch
from torch import nn

from ghostify.deployment.deploy import deploy
from ghostify.deployment.export import Deployed
from ghostify.deployment.exporters import EXPORTERS, Session, torch_session
from ghostify.deployment.quantize import QUANTIZERS
from ghostify.deployment.tensors import tensors_of
from ghostify.types import Example, GhostifyError, split_example

Opener: TypeAlias = Callable[[int], AbstractContextManager[Session]]
"""Opens a session with a number of threads, for the duration of the block."""


@dataclass(frozen=True)
class Runtime:
    """One runtime.

    Attributes:
        prepare: does what is slow and independent of the number of threads, such as an export to a
            temporary file. It may raise any exception for a network that the runtime cannot run.
        check_installed: raises a `GhostifyError` with what to install, if a package is missing.
        on_cpu: whether it runs on the CPU, on whatever device the network is.
        library: what runs; runtimes of one library are timed interleaved. Default: its name.
        to: the export format whose files it runs; None if it runs modules.
    """

    prepare: Callable[[nn.Module, Example], AbstractContextManager[Opener]]
    check_installed: Callable[[], None] = lambda: None
    on_cpu: bool = False
    library: str = ""
    to: str | None = None


def _exported(to: str, *, int8: bool = False) -> Runtime:
    """Return the runtime of an export format.

    INT8 is calibrated on the example alone: its ranges do not change the latency.
    """
    exporter = EXPORTERS[to]

    def check_installed() -> None:
        exporter.check_installed()
        if int8:
            QUANTIZERS[to].check_installed()

    @contextmanager
    def prepare(model: nn.Module, example: Example) -> Iterator[Opener]:
        with TemporaryDirectory() as folder:
            path = Path(folder, f"float32{exporter.ending}")
            deployed = Deployed(model, example, int8=int8)
            deployed.write(path, exporter, any_batch=False)
            if int8:
                source, path = path, path.with_stem("int8")
                QUANTIZERS[to].write(source, path, [tensors_of(deployed.example)])

            @contextmanager
            def opened(threads: int) -> Iterator[Session]:
                session = exporter.open(path, threads)
                yield lambda tensors: session([tensor.cpu() for tensor in tensors])

            yield opened

    return Runtime(prepare, check_installed, on_cpu=True, library=to, to=to)


def _pytorch(*, compiled: bool) -> Runtime:
    """Return PyTorch itself, eager or with ``torch.compile`` and constant weights."""

    @contextmanager
    def prepare(model: nn.Module, example: Example) -> Iterator[Opener]:
        network: Any = deploy(model, example)

        @contextmanager
        def opened(threads: int) -> Iterator[Session]:
            before = torch.get_num_threads()
            torch.set_num_threads(threads)
            run = network
            if compiled:
                run = torch.compile(network, dynamic=False, options={"freezing": True})
            try:
                yield torch_session(run, split_example(example))
            finally:
                torch.set_num_threads(before)
                if compiled:
                    torch.compiler.reset()  # else the next network counts as a recompilation

        yield opened

    return Runtime(prepare)


RUNTIMES: dict[str, Runtime] = {
    "eager": _pytorch(compiled=False),
    "compile": _pytorch(compiled=True),
    "onnxruntime": _exported("onnx"),
    "openvino": _exported("openvino"),
    "executorch": _exported("executorch"),
    "onnxruntime-int8": _exported("onnx", int8=True),
    "openvino-int8": _exported("openvino", int8=True),
}


def runtime_named(name: str) -> Runtime:
    """Return a runtime by name; an unknown one is an error that lists all names."""
    if name not in RUNTIMES:
        raise GhostifyError(f"unknown runtime {name!r}: known are {', '.join(RUNTIMES)}")
    return RUNTIMES[name]
