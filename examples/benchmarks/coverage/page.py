"""The page ``docs/results/coverage.md``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version

from examine import MOST_CHANNELS, WIDEST, Finding

LIBRARIES = {
    "torchvision": "torchvision",
    "timm": "timm",
    "smp": "segmentation-models-pytorch",
    "transformers": "transformers",
    "ultralytics": "ultralytics",
}
PACKAGES = ("torch", *LIBRARIES.values())
COLUMNS = {
    "depthwise or grouped": ("depthwise", "grouped convolution"),
    "1×1 feature maps": ("1x1 output map",),
    "first": ("first convolution (stem)",),
}
"""Reasons of the kept convolutions that have a column of their own."""


def to_markdown(findings: Sequence[Finding]) -> str:
    """Return the page."""
    candidates = sum(f.candidates for f in findings)
    replaced = candidates - sum(len(f.kept_candidates) for f in findings)
    share = replaced / max(candidates, 1)
    faulty = sum(bool(f.faults) for f in findings)
    measured = f"{date.today()} with {', '.join(f'{each} {version(each)}' for each in PACKAGES)}"
    return f"""# Coverage

ghostify converted {len(findings)} networks of five libraries, and {len(findings) - faulty} of them pass all checks. {replaced} of the {candidates}
convolutions that a Ghost module would make cheaper are replaced ({share:.2%}). Networks without any, such as most vision
transformers, are left as they are.

Measured on {measured}.

--8<-- "docs/images/coverage.svg"

`ghostify analyze MODEL` says what it finds in yours, with a reason for every convolution that stays.

## By library

Convolutions, those that are replaced, and the others by the reason why they stay. Squeeze-and-excitation, for
example, has 1×1 feature maps.

{_by_library(findings)}

## What was checked

Every network is converted at s = 2, at s = 4, and by a plan of widths and Ghost modules within half of its MACs, or
the lowest share that is possible, with sensitivities estimated without data; networks of more than {MOST_CHANNELS:,} prunable
channels, or {WIDEST:,} in a layer, are not planned. Each converted network

- gives outputs with the structure and shapes of the original's,
- takes a training step that reaches the Ghost modules,
- is saved and loaded with equal outputs.

Counted as convolutions that a Ghost module would make cheaper: those that would have fewer weights, have one group and
feature maps larger than 1×1, and are neither the first nor inside a Ghost module. Each network runs in its own process, with a minute of processor time:

<!-- not run: takes hours -->
```sh
pip install -e '.[zoo]'
python examples/benchmarks/coverage --markdown docs/results/coverage.md     # writes this page
python examples/charts                                                      # draws its chart again
```

## All networks

MACs are those of all convolutions at s = 2, in G. The three columns behind them belong to the plan within a budget: its
share of the MACs, and the numbers of convolutions that it narrows and replaces.

{_all(findings)}
"""  # noqa: E501


def _by_library(findings: Sequence[Finding]) -> str:
    names = ("networks", "convolutions", "replaced", *COLUMNS, "other")
    lines = [f"| library | {' | '.join(names)} |", "|---|" + "--:|" * len(names)]
    for prefix, library in LIBRARIES.items():
        mine = [f for f in findings if f.name.startswith(f"{prefix}:")]
        sites, replaced = sum(f.sites for f in mine), sum(f.replaced for f in mine)
        kept = sum((Counter(f.kept) for f in mine), Counter())
        shown = [sum(kept[reason] for reason in reasons) for reasons in COLUMNS.values()]
        cells = (len(mine), sites, replaced, *shown, sites - replaced - sum(shown))
        lines.append(f"| {library} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _all(findings: Sequence[Finding]) -> str:
    lines = [
        "| network | convolutions | replaced | kept, by reason | MACs | within | narrowed "
        "| replaced | seconds | faults |",
        "|---|--:|--:|---|--:|--:|--:|--:|--:|---|",
    ]
    for f in findings:
        reasons = ", ".join(f"{n} {reason}" for reason, n in f.kept.items())
        before, after = (macs / 1e9 for macs in f.macs)
        faults = "; ".join(f.faults).replace("|", "\\|").replace("\n", " ")
        lines.append(
            f"| {f.name} | {f.sites} | {f.replaced} | {reasons} | {before:.2f} → {after:.2f} "
            f"| {f.share:.0%} | {f.narrowed} | {f.ghosts} | {f.seconds:.0f} | {faults} |"
        )
    return "\n".join(lines)
