"""``ghostify sensitivity``"""

from __future__ import annotations

from pathlib import Path

import ghostify
from ghostify.cli import options
from ghostify.cli.context import measure_sensitivity, open_target, read_calibration
from ghostify.cli.next_step import after_sensitivity
from ghostify.cli.options import Format
from ghostify.cli.settings import option
from ghostify.cli.terminal import print_document, stage
from ghostify.io.atomic import check_parent


def sensitivity(
    target: options.ModelOrFolder,
    calibration: options.CalibrationOptions,
    original: options.OriginalOptions,
    out: Path | None = option(None, None, "-o", metavar="FILE"),
    plot: Path | None = option(None, metavar="FILE"),
    format: options.FormatOption = Format.table,
) -> None:
    """Measure what replacing or pruning each layer alone does to the output.

    Example: ghostify sensitivity resnet50 --pretrained --calibration photographs -o resnet50.json

    Options:
        out: Save the measurements, for plan --sensitivity.
        plot: Draw them: .png or .svg.
    """
    for file in filter(None, (out, plot)):
        check_parent(file)
    if plot is not None:
        from ghostify.report.plots import check_plot

        check_plot(plot)
    found, artifact = open_target(target, original, calibration.device)
    images = read_calibration(found, calibration)
    measured = measure_sensitivity(found, artifact, images, calibration.outputs)
    with stage("counting"):
        from ghostify.report.plots import plot_sensitivity
        from ghostify.report.sensitivity_table import list_sensitivity

        sites = ghostify.analyze(found.model, found.example)
    if out is not None:
        measured.save(out)
    if plot is not None:
        plot_sensitivity(measured, sites, plot, title=found.source.name)
    print_document(list_sensitivity(measured, sites, model=found.source.name), format)
    if out is not None:
        after_sensitivity(out, target, original)
