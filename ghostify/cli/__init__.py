"""The command line: arguments in, public functions called, tables out."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line. Ctrl-C is heard while it is imported, too."""
    try:
        from ghostify.cli.app import main as run

        run()
    except KeyboardInterrupt:
        print("Interrupted; nothing was saved.", file=sys.stderr)
        sys.exit(130)
