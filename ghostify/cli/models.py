"""``ghostify models``"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated

import typer

from ghostify import GhostifyError
from ghostify.cli.terminal import stage


def models(
    pattern: Annotated[
        str | None, typer.Argument(help="A part of a name, or a glob such as 'resnet*'.")
    ] = None,
) -> None:
    """List the names of networks that MODEL can be."""
    with stage("loading torch"):
        from ghostify import models
    names = [name for name in models.names() if _matches(name, pattern)]
    if not names:
        raise GhostifyError(f"no model matches {pattern!r}")
    print("\n".join(names))


def _matches(name: str, pattern: str | None) -> bool:
    if pattern is None:
        return True
    return fnmatchcase(name, pattern) if "*" in pattern or "?" in pattern else pattern in name
