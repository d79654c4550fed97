"""Compress trained networks within an allowed loss of accuracy.

    python -m compression                                  all networks, in 40 minutes
    python -m compression vgg16 --max-drop 2 --minutes 5   one of them
    python -m compression --draw ../../docs/images         no network: print and draw the records

Run in examples/benchmarks, after ``pip install -e '.[bench,train,export]'``. Networks of which no
weights are published are trained first and kept in --cache. Each compression leaves its artifact
in --out and a record in --results. Prints all records as a table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

import ghostify
from ghostify.types import Trial

from .record import RESULTS, Record, read
from .table import draw, markdown, overview
from .tasks import TASKS

SECONDS = 5.0


def compress(name: str, drop: float, minutes: float, cache: Path, out: Path) -> Record:
    """Compress the network of a task, and time it in ONNX Runtime."""
    task = TASKS[name]
    model = task.network(cache)
    data = task.data(model, cache)
    print(f"{task.title}: {drop:g} points, {minutes:g} minutes", flush=True)
    small, compression = ghostify.compress(
        model, data, max_drop=drop, minutes=minutes, out=out / f"{name}-{drop:g}", force=True,
        on_trial=_print, progress=False,
    )  # fmt: skip
    batch = next(iter(data.validation or ()))
    example = (batch[0] if isinstance(batch, Sequence) else batch)[:1]
    timing = ghostify.benchmark(
        {"original": model, "compressed": small}, example, runtime="onnxruntime", seconds=SECONDS,
        progress=False,
    )  # fmt: skip
    command = f"python -m compression {name} --max-drop {drop:g} --minutes {minutes:g}"
    return Record(task.title, command, minutes, compression, timing)


def _print(trial: Trial) -> None:
    print(f"  {trial.name}: {trial.drop:.2f} points lost", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", choices=[*TASKS, []], help="default: all")
    parser.add_argument("--max-drop", type=float, help="default: those of each network")
    parser.add_argument("--minutes", type=float, help="default: those of each network")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache")
    parser.add_argument("--out", type=Path, default=Path("compressed"), help="folder of artifacts")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of records")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--draw", type=Path, metavar="DIR", help="compress nothing, draw records")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.results.mkdir(exist_ok=True)
    for name in () if options.draw else options.networks or TASKS:
        task = TASKS[name]
        for drop in [options.max_drop] if options.max_drop else task.drops:
            minutes = options.minutes or task.minutes
            made = compress(name, drop, minutes, options.cache, options.out)
            made.save(options.results / f"{name}-{drop:g}.json")
            print(made.compression, flush=True)
    records = read(options.results)
    print(markdown(records), overview(records), sep="\n\n")
    if options.draw:
        draw(records, options.draw)


main()
