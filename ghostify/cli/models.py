"""``ghostify models``"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated

import typer

from ghostify import GhostifyError
from ghostify.cli.terminal import results, stage


def models(
    pattern: Annotated[
        str | None,
        typer.Argument(metavar="PATTERN", help="A part of a name, or a glob such as 'resnet*'."),
    ] = None,
) -> None:
    """List the names of networks that MODEL can be."""
    with stage("loading torch"):
        from ghostify.models import names
    glob = pattern if pattern and set(pattern) & set("*?") else f"*{pattern or ''}*"
    found = [name for name in names() if fnmatchcase(name, glob)]
    if not found:
        raise GhostifyError(f"no model matches {pattern!r}")
    print("\n".join(found), file=results())
