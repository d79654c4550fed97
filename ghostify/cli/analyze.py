"""``ghostify analyze``"""

from __future__ import annotations

import ghostify
from ghostify.cli import options
from ghostify.cli.context import build
from ghostify.cli.options import Format
from ghostify.cli.terminal import print_document, stage
from ghostify.types import describe_example


def analyze(
    model: options.ModelName,
    building: options.ModelOptions,
    format: options.FormatOption = Format.table,
) -> None:
    """List every convolution of a network, and whether it can be replaced and pruned or why not.

    Example: ghostify analyze mobilenet_v2
    """
    found = build(model, building)
    from ghostify.report.tables import list_sites

    with stage("analyzing"):
        sites = ghostify.analyze(found.model, found.example)
    shape = describe_example(found.example)
    print_document(list_sites(sites, model=model, input=shape), format)
