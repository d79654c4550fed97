"""``ghostify compare``"""

from __future__ import annotations

from ghostify.cli import completion, options
from ghostify.cli.context import load_artifact, read_calibration
from ghostify.cli.options import CalibrationOptions, Format
from ghostify.cli.settings import option
from ghostify.cli.terminal import print_document, stage


def compare(
    folder: options.Folder,
    original: options.OriginalOptions,
    data: str | None = option(None, metavar="SOURCE", autocompletion=completion.sources),
    images: options.Images = 256,
    outputs: str | None = option(None, metavar="KIND"),
    format: options.FormatOption = Format.table,
) -> None:
    """Print the report of a saved conversion again, and how much it has kept.

    Example: ghostify compare resnet50-ghost --data photographs

    Options:
        data: Compare the outputs on these images, named as for convert --calibration. This needs
            the original's weights.
        outputs: What the outputs are, for --data: classes, multilabel or values. Default: what the
            folder says, or found from the outputs.
    """
    artifact, found = load_artifact(folder, original)
    pictures = read_calibration(found, CalibrationOptions(data, images))
    with stage("comparing"):
        report = artifact.compare(data=pictures, outputs=outputs)
    print_document(report.document(), format)
