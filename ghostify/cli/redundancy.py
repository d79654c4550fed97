"""``ghostify redundancy``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import ghostify
from ghostify import GhostifyError
from ghostify.cli import options
from ghostify.cli.context import build, read_calibration, short_name
from ghostify.cli.options import Format, ImageOptions
from ghostify.cli.settings import option
from ghostify.cli.terminal import note, print_document, stage
from ghostify.io.atomic import check_parent

if TYPE_CHECKING:
    from ghostify.types import LayerRedundancy


def redundancy(
    model: options.ModelName,
    building: options.ModelOptions,
    image: str | None = option(None, metavar="SOURCE"),
    layer: str | None = option(None, metavar="NAME"),
    images: int = option(16, min=1),
    out: Path = option(Path("redundancy.png"), None, "-o", metavar="FILE"),
    format: options.FormatOption = Format.table,
) -> None:
    """Show how much the feature maps of a layer resemble each other, and draw them.

    Example: ghostify redundancy resnet50 --pretrained --image cat.jpg --layer layer1.0

    Options:
        image: Images, in any form of evaluate --data. Default: a photograph that is part of
            Matplotlib.
        layer: Name of the module whose feature maps to compare. Default: all convolutions; the
            picture shows the most redundant one.
        images: Maximum number of images.
        out: The picture: .png or .svg.
    """
    from ghostify.report.plots import check_plot

    check_parent(out)
    check_plot(out)
    found = build(model, building)
    import torch

    pictures = ImageOptions(str(image or _photograph()), images)
    data = torch.cat([*(read_calibration(found, pictures, evaluation=True) or ())])
    measured = ghostify.redundancy(found.model, data, layers=layer and [layer])
    shown = _most_redundant(measured, data.shape[-1])
    with stage("drawing"):
        from ghostify.conversion.redundancy import feature_maps
        from ghostify.report.redundancy_plot import plot_redundancy
        from ghostify.report.tables import list_redundancy

        maps = feature_maps(found.model, data[:1], shown.layer)[0]
        plot_redundancy(shown, data[0], maps, out, title=short_name(model))
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
