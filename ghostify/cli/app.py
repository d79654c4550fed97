"""The ``ghostify`` command."""

from __future__ import annotations

import io
import re
import sys
import warnings
from collections.abc import Callable
from functools import wraps
from inspect import getdoc
from typing import Annotated, Any

import typer

from ghostify import GhostifyError, __version__
from ghostify.cli.analyze import analyze
from ghostify.cli.benchmark import benchmark
from ghostify.cli.compare import compare
from ghostify.cli.compress import compress
from ghostify.cli.convert import convert
from ghostify.cli.evaluate import evaluate
from ghostify.cli.export import export
from ghostify.cli.models import models
from ghostify.cli.plan import plan, search
from ghostify.cli.recalibrate import recalibrate
from ghostify.cli.recover import recover
from ghostify.cli.redundancy import redundancy
from ghostify.cli.report import report
from ghostify.cli.sensitivity import sensitivity
from ghostify.cli.settings import expand_settings
from ghostify.cli.terminal import fail, interruptible, results_alone, warn
from ghostify.types.errors import GhostifyWarning, first_line, is_out_of_memory


def _runnable(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with its settings as options, which Ctrl-C ends with one line."""
    expanded = expand_settings(command)

    @wraps(expanded)
    def run(**values: Any) -> None:
        with interruptible(), results_alone():
            expanded(**values)

    return run


def _in_paragraphs(command: Callable[..., None]) -> str:
    """Return the command's docstring without its options, each paragraph in one line."""
    paragraphs = (getdoc(command) or "").partition("\n\nOptions:")[0].split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


app = typer.Typer(
    name="ghostify",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Make a convolutional network smaller and faster: Ghost modules for its convolutions.",
    epilog="Start with: ghostify convert resnet50 --pretrained --calibration IMAGES",
)
for command in (
    compress,
    convert,
    compare,
    evaluate,
    recalibrate,
    recover,
    export,
    benchmark,
    report,
    analyze,
    plan,
    search,
    sensitivity,
    redundancy,
    models,
):
    app.command(help=_in_paragraphs(command))(_runnable(command))


def _print_version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line. What the user can correct is one line on stderr and exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an old terminal may lack an arrow
    warnings.showwarning = _show_warning
    warnings.filterwarnings("always", category=GhostifyWarning)
    try:
        app(prog_name="ghostify")
    except GhostifyError as error:
        fail(_with_options(str(error)))
    except OSError as error:
        named = error.filename is not None and error.strerror is not None
        fail(f"{error.filename}: {error.strerror}" if named else str(error))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        fail(f"out of memory ({first_line(error)}): use smaller batches, or fewer images")


_OPTIONS = {
    r"load a file with load_weights": "pass --weights FILE",
    r"load (\S+) with load_weights": r"pass --weights \1",
    r"pretrained=True": "--pretrained",
    r"input_size=\(3, 224, 224\)": "--input 3x224x224",
    r"labels=False|`labels`": "--no-labels",
    r"`input_size`": "--input",
    r"`(mean|std)`": r"the \1 of --normalize",
    r"`(num_classes|in_channels)(=[^`]*)?`": r"--model-arg \1\2",
    r"(cannot be built: .*)`(width|depth|dropout)(=[^`]*)?`": r"\1--model-arg \2\3",
    r"`limit`": "the limit",
    r"(--runtime, such as 'onnxruntime'), or `latencies`": r"\1",
    r"`analyze`": "ghostify analyze",
    r"pass the original, with its weights, as `teacher`": "name labeled images, or a converted "
    "network whose original has its weights",
    r"as data_root": "as --data-root",
    r"merge them first, with ghostify.reparameterize": "add --reparameterize",
    r"pass (--weights|`weights`)$": "pass --weights FILE",
    r"convert the network with its trained weights": "convert again with --weights or --pretrained",
}
"""Advice for Python, as options."""


def _with_options(message: str) -> str:
    for argument, option in _OPTIONS.items():
        message = re.sub(argument, option, message)
    return message


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    warn(_with_options(str(message)))
