"""Runtimes that execute a network: PyTorch, and one for each export format that has its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ghostify.deployment.backends.exporter import Session
from ghostify.deployment.backends.registry import EXPORTERS
from ghostify.deployment.backends.tensors import replace_tensors, tensors_of
from ghostify.deployment.deploy import deploy
from ghostify.deployment.export import Deployed, write_verified
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
    """

    prepare: Callable[[nn.Module, Example], AbstractContextManager[Opener]]
    check_installed: Callable[[], None] = lambda: None
    on_cpu: bool = False


def exported(to: str) -> Runtime:
    """Return the runtime of an export format, a name of `registry.EXPORTERS`."""
    exporter = EXPORTERS[to]

    @contextmanager
    def prepare(model: nn.Module, example: Example) -> Iterator[Opener]:
        on_cpu = tree_map_only(Tensor, lambda tensor: tensor.detach().cpu(), example)
        with TemporaryDirectory() as folder:
            path = Path(folder, f"network{exporter.ending}")
            deployed = Deployed.from_model(model, example)
            write_verified(deployed, on_cpu, path, exporter, any_batch=False)

            @contextmanager
            def opened(threads: int) -> Iterator[Session]:
                session = exporter.open(path, threads)
                yield lambda tensors: session([tensor.cpu() for tensor in tensors])

            yield opened

    return Runtime(prepare, exporter.check_installed, on_cpu=True)


def pytorch(*, compiled: bool) -> Runtime:
    """Return PyTorch itself, eager or with ``torch.compile`` and constant weights."""

    @contextmanager
    def prepare(model: nn.Module, example: Example) -> Iterator[Opener]:
        network: Any = deploy(model, example)

        @contextmanager
        def opened(threads: int) -> Iterator[Session]:
            with _torch_threads(threads):
                if not compiled:
                    yield _session(network, example)
                    return
                fast = torch.compile(network, dynamic=False, options={"freezing": True})
                try:
                    yield _session(fast, example)
                finally:
                    torch.compiler.reset()  # else the next network counts as a recompilation

        yield opened

    return Runtime(prepare)


@contextmanager
def _torch_threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _session(network: Callable[..., object], example: Example) -> Session:
    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        args, kwargs = split_example(replace_tensors(example, tensors))
        with torch.no_grad():
            return tensors_of(network(*args, **kwargs))

    return run


RUNTIMES: dict[str, Runtime] = {
    "eager": pytorch(compiled=False),
    "compile": pytorch(compiled=True),
    "onnxruntime": exported("onnx"),
    "openvino": exported("openvino"),
    "executorch": exported("executorch"),
}


def runtime_named(name: str) -> Runtime:
    """Return a runtime by name.

    Raises:
        GhostifyError: if it is unknown; the message lists all names.
    """
    if name not in RUNTIMES:
        raise GhostifyError(f"unknown runtime {name!r}: known are {', '.join(RUNTIMES)}")
    return RUNTIMES[name]
