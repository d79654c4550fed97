"""The weights that a network was converted from."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from ghostify.types.attachment import Attachment
from ghostify.types.serialization import Serializable


@dataclass(frozen=True)
class OriginalWeights(Attachment, Serializable):
    """The weights that a network was converted from, and where they are.

    Attributes:
        digest: SHA-256 of the original's state dict: names, types, shapes and values. Of one whose
            branches were merged, before that.
        trained: whether the original was trained, not randomly initialized.
        file: the file of the weights; in a recipe, relative to the artifact's folder.
        sha256: checksum of the file.
        name: the library's name of the weights, such as ``IMAGENET1K_V2``.
        merged: SHA-256 after `ghostify.reparameterize`; None if the branches were not merged.
    """

    digest: str
    trained: bool
    file: str | None = None
    sha256: str | None = None
    name: str | None = None
    merged: str | None = None

    def __str__(self) -> str:
        if self.file is not None and self.sha256 is not None:
            file, here = Path(self.file), Path.cwd()
            shown = file.relative_to(here) if file.is_relative_to(here) else file
            return f"the weights in {shown} (SHA-256 {self.sha256[:8]}...)"
        return f"the weights {self.name}" if self.name else f"weights {self.digest[:8]}..."

    def from_file(self, file: str | os.PathLike[str], sha256: str) -> Self:
        """Return this record with a file that the weights are in."""
        return replace(self, file=str(Path(file).resolve()), sha256=sha256, name=None)

    def relative_to(self, folder: Path) -> Self:
        """Return this record with the file relative to ``folder``."""
        if self.file is None:
            return self
        return replace(self, file=Path(os.path.relpath(self.file, folder.resolve())).as_posix())

    def located_in(self, folder: Path) -> Self:
        """Return this record with the absolute path of a file relative to ``folder``."""
        if self.file is None:
            return self
        return replace(self, file=os.path.normpath(folder.resolve() / self.file))
