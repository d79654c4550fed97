"""What a form of export is: a way to write a captured graph, and a way to run what was written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from torch import Tensor
from torch.export import ExportedProgram

from ghostify.types import GhostifyError

Session: TypeAlias = Callable[[Sequence[Tensor]], list[Tensor]]
"""A network ready to run: the tensors of an example in, those of the output out, in order."""


@dataclass(frozen=True)
class Exporter:
    """One form.

    Attributes:
        ending: of the file, such as ``.onnx``.
        needs: packages that writing and running take.
        extra: the extra of ghostify that installs them.
        write: writes a captured graph to a file, and perhaps more files beside it.
        open: makes a session of what was written, with so many threads for one input.
            ``torch-export`` takes those of torch instead, which are the whole process's.
        any_batch: whether the form leaves the size of the batch open.
    """

    ending: str
    needs: tuple[str, ...]
    extra: str
    write: Callable[[ExportedProgram, Path], None]
    open: Callable[[Path, int], Session]
    any_batch: bool = True

    def check_installed(self) -> None:
        """See that what is needed is there, before the work.

        Raises:
            GhostifyError: if a package is missing, with what to install.
        """
        for package in self.needs:
            if find_spec(package) is None:
                raise GhostifyError(
                    f"{self.ending} files need {package}: pip install 'ghostify[{self.extra}]'"
                )
