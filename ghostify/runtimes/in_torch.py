"""PyTorch itself, on the device that the network is on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ghostify.deployment import deploy
from ghostify.exporters import Session
from ghostify.exporters.tensors import refilled, tensors_of
from ghostify.runtimes.runtime import Opener
from ghostify.spec import Example, split_example


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
