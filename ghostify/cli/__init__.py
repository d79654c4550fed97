"""The command line: arguments in, public functions called, tables out."""

import signal
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line. Ctrl-C, SIGTERM and SIGHUP end it alike, also while it is imported."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number and signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores a hang-up
            signal.signal(number, signal.default_int_handler)
    try:
        from ghostify.cli.app import main as run

        run()
    except KeyboardInterrupt:
        print("Interrupted; nothing was saved.", file=sys.stderr)
        sys.exit(130)
