"""``ghostify redundancy``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import ghostify
from ghostify import GhostifyError
from ghostify.cli import options
from ghostify.cli.context import build, read_calibration
from ghostify.cli.options import CalibrationOptions, Format
from ghostify.cli.terminal import note, print_document, stage
from ghostify.io.atomic import check_parent

if TYPE_CHECKING:
    from ghostify.types import LayerRedundancy


def redundancy(
    model: options.ModelName,
    building: options.ModelOptions,
    image: Annotated[
        Path | None,
        typer.Option(
            "--image",
            metavar="PATH",
            help="What to show the network: an image, a folder, or a file with one tensor. "
            "Default: the photograph that Matplotlib brings.",
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            "--layer",
            metavar="NAME",
            help="Whose maps to look at, any module's. Default: all convolutions, and the picture "
            "of the most ghostly one.",
        ),
    ] = None,
    images: Annotated[
        int, typer.Option("--images", min=1, help="How many images of a folder to use at most.")
    ] = 16,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="The picture: .png or .svg.")
    ] = Path("redundancy.png"),
    format: options.FormatOption = Format.table,
) -> None:
    """Show how much the feature maps of a layer resemble each other, and draw them.

    Example: ghostify redundancy resnet50 --pretrained --image cat.jpg --layer layer1.0
    """
    from ghostify.report.plots import check_plot

    check_parent(out)
    check_plot(out)
    found = build(model, building)
    import torch

    pictures = CalibrationOptions(str(image or _photograph()), images)
    data = torch.cat(read_calibration(found, pictures) or [])
    measured = ghostify.redundancy(found.model, data, layers=layer and [layer])
    shown = _most_redundant(measured, data.shape[-1])
    with stage("drawing"):
        from ghostify.conversion.redundancy import feature_maps
        from ghostify.report.redundancy_plot import plot_redundancy
        from ghostify.report.tables import list_redundancy

        maps = feature_maps(found.model, data[:1], shown.layer)[0]
        plot_redundancy(shown, data[0], maps, out, title=model.rpartition(":")[2])
    print_document(list_redundancy(measured, model=model), format)
    note(f"Drew {shown.layer} to {out}.")


def _photograph() -> Path:
    from matplotlib import get_data_path

    return Path(get_data_path(), "sample_data", "grace_hopper.jpg")


def _most_redundant(layers: tuple[LayerRedundancy, ...], side: int) -> LayerRedundancy:
    """Return the layer with the largest explained share, among those with large feature maps."""
    measured = [layer for layer in layers if layer.pairs]
    if not measured:
        raise GhostifyError(
            "these images do not suffice to compare feature maps: give more, or a --layer"
        )
    large = [layer for layer in measured if 4 * layer.size[1] >= side]
    return max(large or measured, key=lambda layer: max(layer.explained.values()))
