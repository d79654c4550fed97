"""``ghostify inspect``"""

from __future__ import annotations

import ghostify
from ghostify.cli import options
from ghostify.cli.options import Format
from ghostify.cli.terminal import stage
from ghostify.cli.workflow import prepare, print_document
from ghostify.types import describe_example


def inspect(
    model: options.ModelName,
    input: options.Input = None,
    model_arg: options.ModelArgs = None,
    format: options.FormatOption = Format.table,
) -> None:
    """List every convolution of a network, and whether it can be replaced or why not.

    Example: ghostify inspect mobilenet_v2
    """
    subject = prepare(options.source_of(model, input, model_arg))
    with stage("analysing"):
        sites = ghostify.analyze(subject.network, subject.example)
    shape = describe_example(subject.example)
    print_document(ghostify.list_sites(sites, model=model, input=shape), format)
