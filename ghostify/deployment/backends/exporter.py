"""An export format: how to write a captured graph, and how to run the file."""

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
"""Runs a network: the tensors of an example in, those of the output out, in order."""


@dataclass(frozen=True)
class Exporter:
    """One export format.

    Attributes:
        ending: file name ending, such as ``.onnx``.
        needs: packages that writing and running import.
        extra: the extra of ghostify that installs them.
        write: writes a captured graph to a file, and possibly more files next to it.
        open: opens the file with a number of threads. ``torch-export`` ignores the number: it uses
            torch's threads.
        any_batch: whether the format supports a dynamic batch size.
    """

    ending: str
    needs: tuple[str, ...]
    extra: str
    write: Callable[[ExportedProgram, Path], None]
    open: Callable[[Path, int], Session]
    any_batch: bool = True

    def check_installed(self) -> None:
        """Check the packages that this format needs.

        Raises:
            GhostifyError: if a package is missing, with what to install.
        """
        for package in self.needs:
            if find_spec(package) is None:
                raise GhostifyError(
                    f"{self.ending} files need {package}: pip install 'ghostify[{self.extra}]'"
                )
