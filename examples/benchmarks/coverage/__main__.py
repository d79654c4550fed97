"""Convert every network of several model libraries, and check the results.

    python examples/benchmarks/coverage [--match resnet] [--markdown FILE] [--json FILE]

Each network runs in its own process, with a minute of processor time.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from page import to_markdown
from sweep import sweep


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
