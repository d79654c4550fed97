"""Runtimes that read a file: the network is exported, for the example's batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ghostify.exporters import EXPORTERS, Session
from ghostify.exporters.writing import Form, write_verified
from ghostify.runtimes.runtime import Opener, Runtime
from ghostify.spec import Example


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
