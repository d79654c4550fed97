"""Convert every network of several model libraries, and check the results.

    python examples/benchmarks/coverage [--match resnet] [--markdown FILE] [--json FILE]

Each network runs in its own process, with a minute of processor time.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from examine import Finding
from sweep import sweep


def to_markdown(findings: list[Finding]) -> str:
    """Return the page ``docs/results/coverage.md``."""
    candidates = sum(f.candidates for f in findings)
    kept = sum(len(f.kept_candidates) for f in findings)
    share = (candidates - kept) / max(candidates, 1)
    introduction = f"""# Coverage

{len(findings)} networks with {sum(f.sites for f in findings)} convolutions. Every network is converted at s = 2, at s = 4, and by a
plan of widths and Ghost modules within half of its MACs, or the lowest share that there is, with sensitivities
estimated without data. The converted network gives outputs with the structure and shapes of the original's, takes a training step, and is
saved and loaded with equal outputs. Of the convolutions that a Ghost module would make cheaper (one group, not
the first, feature maps larger than 1x1, not inside a Ghost module), {candidates - kept} of {candidates} ({share:.2%}) are replaced.
The table lists the kept ones by reason. MACs are those of all convolutions at s = 2, in G; the three columns
behind them are of the plan within a budget.

This page is written by `python examples/benchmarks/coverage --markdown docs/results/coverage.md`.
"""  # noqa: E501
    lines = [
        introduction,
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
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--match", default="", help="only names that contain this")
    parser.add_argument("--seconds", type=int, default=60, help="processor time for each network")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--markdown", type=Path, help="write the table here")
    parser.add_argument("--json", type=Path, help="write the findings here")
    options = parser.parse_args()
    findings = []
    for finding in sweep(options.match, options.workers, options.seconds):
        findings.append(finding)
        state = "; ".join(finding.faults) or "ok"
        print(
            f"{finding.name:45} {finding.replaced:4}/{finding.sites:<4} "
            f"{len(finding.kept_candidates):3}  {finding.share:4.0%} {finding.narrowed:3} narrowed "
            f"{finding.ghosts:3} replaced  {finding.seconds:5.1f} s  {state}",
            flush=True,
        )
    if options.markdown:
        options.markdown.write_text(to_markdown(findings), encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps(list(map(asdict, findings))), encoding="utf-8")


if __name__ == "__main__":
    main()
