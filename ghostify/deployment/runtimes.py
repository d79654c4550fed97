"""PyTorch itself, on the device that the network is on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ghostify.deployment.backends.exporter import Session
from ghostify.deployment.backends.registry import EXPORTERS
from ghostify.deployment.backends.tensors import refilled, tensors_of
from ghostify.deployment.deploy import deploy
from ghostify.deployment.export import Form, write_verified
from ghostify.types import Example, GhostifyError, split_example

Opener: TypeAlias = Callable[[int], AbstractContextManager[Session]]
"""Opens a session with so many threads, for as long as the block lasts."""


@dataclass(frozen=True)
class Runtime:
    """One runtime.

    Attributes:
        prepare: what takes long and is the same for any number of threads, such as an export to
            a file that is there for as long as the block lasts. It may raise whatever the runtime
            raises at a network that it cannot take.
        check_installed: raises a `GhostifyError` that says what to install, or does nothing.
        on_cpu: whether it runs on the processor, wherever the network is.
    """

    prepare: Callable[[nn.Module, Example], AbstractContextManager[Opener]]
    check_installed: Callable[[], None] = lambda: None
    on_cpu: bool = False


def exported(form: str) -> Runtime:
    """The runtime that an export format is for.

    Args:
        form: a name of `exporters.EXPORTERS`.
    """
    exporter = EXPORTERS[form]

    @contextmanager
    def prepared(model: nn.Module, example: Example) -> Iterator[Opener]:
        on_cpu = tree_map_only(Tensor, lambda tensor: tensor.detach().cpu(), example)
        with TemporaryDirectory() as folder:
            path = Path(folder, f"network{exporter.ending}")
            write_verified(Form.of(model, example), on_cpu, path, exporter, any_batch=False)

            @contextmanager
            def opened(threads: int) -> Iterator[Session]:
                session = exporter.open(path, threads)
                yield lambda tensors: session([tensor.cpu() for tensor in tensors])

            yield opened

    return Runtime(prepared, exporter.check_installed, on_cpu=True)


@contextmanager
def eager(model: nn.Module, example: Example) -> Iterator[Opener]:
    """Operator by operator."""
    network = deploy(model, example)

    @contextmanager
    def opened(threads: int) -> Iterator[Session]:
        with torch_threads(threads):
            yield _session(network, example)

    yield opened


@contextmanager
def compiled(model: nn.Module, example: Example) -> Iterator[Opener]:
    """By torch.compile, with weights that are constants."""
    network = deploy(model, example)

    @contextmanager
    def opened(threads: int) -> Iterator[Session]:
        with torch_threads(threads):
            fast = torch.compile(network, dynamic=False, options={"freezing": True})
            try:
                yield _session(fast, example)
            finally:
                torch.compiler.reset()  # else what is compiled next counts as a recompilation

    yield opened


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """So many threads for torch's operators, and then as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _session(network: Callable[..., object], example: Example) -> Session:
    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        args, kwargs = split_example(refilled(example, tensors))
        with torch.no_grad():
            return tensors_of(network(*args, **kwargs))

    return run


RUNTIMES: dict[str, Runtime] = {
    "eager": Runtime(eager),
    "compile": Runtime(compiled),
    "onnxruntime": exported("onnx"),
    "openvino": exported("openvino"),
    "executorch": exported("executorch"),
}


def runtime_named(name: str) -> Runtime:
    """The runtime of that name.

    Raises:
        GhostifyError: if there is none, with those that there are.
    """
    if name not in RUNTIMES:
        raise GhostifyError(f"unknown runtime {name!r}: known are {', '.join(RUNTIMES)}")
    return RUNTIMES[name]
