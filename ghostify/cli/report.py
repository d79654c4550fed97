"""``ghostify report``"""

from __future__ import annotations

from pathlib import Path

import ghostify
from ghostify.cli import options
from ghostify.cli.context import load_artifact, read_calibration
from ghostify.cli.options import ImageOptions
from ghostify.cli.settings import option
from ghostify.cli.terminal import note, stage
from ghostify.report.html import check_page


def report(
    folder: options.Folder,
    original: options.OriginalOptions,
    out: Path | None = option(None, None, "-o", metavar="FILE"),
    image: str | None = option(None, metavar="SOURCE"),
    plots: Path | None = option(None, metavar="DIR"),
    title: str | None = option(None, metavar="TEXT"),
    card: Path | None = option(None, metavar="FILE"),
) -> None:
    """Write a page about a conversion: one HTML file with everything measured so far.

    Example: ghostify report resnet50-ghost -o report.html

    Options:
        out: File to write. Default: report.html in the folder.
        image: Also show the feature maps of some layers for this image, and the original's if
            its weights are found.
        plots: Also draw the charts there, PNG and SVG.
        title: Title of the page. Default: the name of the model.
        card: Also draw the summary as a picture of 1200x630 pixels, as for link previews: .png.
    """
    check_page(out, plots=plots, card=card)
    if image is not None:
        artifact, found = load_artifact(folder, original)
        pictures = read_calibration(found, ImageOptions(image, 1), evaluation=True)
        assert pictures is not None
        with stage("computing feature maps"):
            artifact.record_feature_maps(pictures.batches[0])
    with stage("writing the page"):
        file = ghostify.write_report(folder, out, plots=plots, title=title, card=card)
    note(f"Written to {file}.")
