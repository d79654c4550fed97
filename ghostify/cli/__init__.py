"""The command line: arguments in, public verbs called, tables out."""

from ghostify.cli.app import main

__all__ = ["main"]
