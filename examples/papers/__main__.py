"""Count the networks of the GhostNet papers and compare with the printed numbers.

    python examples/papers [vgg16-ratio] [--format markdown]

``docs/results/tables.md`` ends with what ``--format markdown`` prints.
"""

import argparse

from document import list_papers
from printed import NAMES, read_table
from recount import recount

from ghostify.report.formats import FORMATS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", default=NAMES, help=", ".join(NAMES))
    parser.add_argument("--format", choices=list(FORMATS), default="table")
    options = parser.parse_args()
    tables = [read_table(name) for name in options.names]
    print(FORMATS[options.format](list_papers(tables, recount(tables))), end="")


if __name__ == "__main__":
    main()
