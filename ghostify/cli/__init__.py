"""The command line: arguments in, public functions called, tables out."""

from ghostify.cli.app import main

__all__ = ["main"]
