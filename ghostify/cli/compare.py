"""``ghostify compare``"""

from __future__ import annotations

from ghostify import GhostifyError
from ghostify.cli import completion, options
from ghostify.cli.context import load_artifact, read_calibration
from ghostify.cli.options import Format, ImageOptions
from ghostify.cli.settings import option
from ghostify.cli.terminal import print_document, stage


def compare(
    folder: options.Folder,
    original: options.OriginalOptions,
    data: str | None = option(None, metavar="SOURCE", autocompletion=completion.sources),
    images: int | None = option(None, min=1),
    outputs: str | None = option(None, metavar="KIND"),
    format: options.FormatOption = Format.table,
) -> None:
    """Print the report of a saved conversion again, and how much it has kept.

    Example: ghostify compare resnet50-ghost --data photographs

    Options:
        data: Compare the outputs on these images, in any form of evaluate --data. This needs
            the original's weights.
        images: Maximum number of these images. Default: 256.
        outputs: What the outputs are, for --data: classes, multilabel or values. Default: as
            recorded in the folder, else found from the outputs.
    """
    if images is not None and data is None:
        raise GhostifyError("--images is the number of images of --data: add it")
    artifact, found = load_artifact(folder, original)
    pictures = read_calibration(found, ImageOptions(data, images), evaluation=True)
    with stage("comparing"):
        report = artifact.compare(data=pictures, outputs=outputs)
    print_document(report.document(), format)
