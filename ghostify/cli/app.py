"""The ``ghostify`` command."""

from __future__ import annotations

from typing import Annotated

import typer

from ghostify import GhostifyError, __version__
from ghostify.cli.convert import convert
from ghostify.cli.inspect import inspect
from ghostify.cli.models import models
from ghostify.cli.plan import plan
from ghostify.cli.terminal import fail

app = typer.Typer(
    name="ghostify",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Make a convolutional network smaller and faster: Ghost modules for its convolutions.",
)
for command in (convert, inspect, plan, models):
    app.command()(command)


@app.callback()
def _version(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; what the user can put right is one line on stderr and exit code 1."""
    try:
        app()
    except (GhostifyError, OSError) as error:
        fail(" ".join(str(error).split()))
