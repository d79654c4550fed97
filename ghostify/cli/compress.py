"""``ghostify compress``"""

from __future__ import annotations

from pathlib import Path

import typer

import ghostify
from ghostify import GhostifyError
from ghostify.cli import completion, options
from ghostify.cli.context import build, note_skipped, open_data, short_name
from ghostify.cli.next_step import after_compress, command_line
from ghostify.cli.options import Format
from ghostify.cli.settings import option
from ghostify.cli.terminal import note, print_document
from ghostify.io.atomic import TRIED
from ghostify.types import Trial


def compress(
    model: options.ModelName,
    source: options.DataOptions,
    building: options.ModelOptions,
    out: Path | None = option(None, None, "-o", metavar="DIR"),
    max_drop: float | None = option(None, metavar="POINTS"),
    budget: list[str] | None = option(None, metavar="COST=LIMIT"),
    minutes: float = option(30.0),
    runtime: str | None = option(
        None, metavar="NAME", autocompletion=completion.fixed(*completion.RUNTIMES)
    ),
    threads: int = option(1, min=1),
    int8: bool = option(False),
    device: options.Device = None,
    resume: bool = option(False),
    force: bool = option(False),
    format: options.FormatOption = Format.table,
) -> None:
    """Make a network as small or as fast as an allowed loss of accuracy permits.

    Networks of different budgets are planned, converted and scored, then trained a little, and one
    for the rest of the time. The smallest one within the loss is saved, with a page about it. After
    Ctrl-C, --resume continues.

    Example: ghostify compress resnet50 --pretrained --data imagenet --max-drop 0.5 --minutes 60

    Options:
        out: Where to save. Default: MODEL-compressed.
        max_drop: Allowed loss of accuracy in percentage points. Without labels it is the loss of
            agreement with the original. Default: 0.5.
        budget: What the network may cost, instead of --max-drop: macs=0.5, params=4M. May be
            repeated.
        minutes: Time for everything but the last evaluation, the timing and the export.
        runtime: Find the fastest network in this runtime instead of the one with the fewest MACs,
            and export it: eager, compile, onnxruntime, openvino, executorch, onnxruntime-int8,
            openvino-int8.
        threads: Threads of --runtime.
        int8: Export in INT8, and measure latency in INT8. Default runtime: onnxruntime.
        resume: Continue a compression that was interrupted, or one that ended for --minutes more,
            perhaps with another --max-drop.
        force: Replace an existing artifact, or an unfinished compression.
    """
    target = out or Path(f"{short_name(model)}-compressed")
    found = build(model, building)
    from ghostify.compression.trial_runner import RECORD
    from ghostify.models.identity import is_untrained

    if is_untrained(found.model):
        raise GhostifyError(f"{model} has random weights: add --weights or --pretrained")
    data = open_data(found, source)
    try:
        _, compression = ghostify.compress(
            found.model, data, found.example, out=target, max_drop=max_drop,
            budget=budget or None, minutes=minutes, runtime=runtime, threads=threads, int8=int8,
            outputs=source.outputs, device=device, source=found.source,
            options={"command": command_line()}, resume=resume, force=force, on_trial=TrialTable(),
        )  # fmt: skip
    except KeyboardInterrupt:
        kept = f"{target} holds what was tried. To continue, repeat with --resume"
        begun = (target / TRIED / RECORD).is_file()
        note(f"Interrupted; {kept if begun else 'nothing was saved'}.")
        raise typer.Exit(130) from None
    note_skipped(data.skipped())
    if not budget and len({trial.budget for trial in compression.tried}) == 1:
        note("Time was too short to search: give it more --minutes, with --resume.")
    print_document(compression.document(), format)
    after_compress(target, compression, minutes, source, found.source)


class TrialTable:
    """Prints trials on stderr as they come, as rows of one table."""

    def __init__(self) -> None:
        self._widths: list[int] = []

    def __call__(self, trial: Trial) -> None:
        from ghostify.report.compression import trial_cells, trial_columns

        if not self._widths:
            headings = [column.heading for column in trial_columns(trial)]
            self._widths = [max(12, len(heading) + 1) for heading in headings]
            note(self._line(headings))
        note(self._line(list(trial_cells(trial))))

    def _line(self, cells: list[str]) -> str:
        name, *others = cells
        first, *widths = self._widths
        aligned = (f"{cell:>{width}}" for cell, width in zip(others, widths, strict=True))
        return f"{name:<{first}}{''.join(aligned)}"
