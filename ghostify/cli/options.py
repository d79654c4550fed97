"""Options that several commands share, in groups that travel as one value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ghostify import GhostifyError, GhostSpec
from ghostify.cli import completion
from ghostify.cli.settings import option

ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        autocompletion=completion.models,
        help="resnet50 (torchvision), torchvision:NAME, timm:NAME, ghostify:NAME, "
        "package.module:factory or path/to/file.py:factory.",
    ),
]
Folder = Annotated[
    Path,
    typer.Argument(
        metavar="DIR",
        autocompletion=completion.artifacts,
        help="A folder that ghostify convert has made.",
    ),
]
ModelOrFolder = Annotated[
    str,
    typer.Argument(
        metavar="MODEL_OR_DIR",
        autocompletion=completion.models_or_artifacts,
        help="A network, or a folder that ghostify convert has made.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="NAME", help="cpu, cuda, cuda:1. Default: a GPU if any."),
]


class Format(StrEnum):
    """How a document is printed on stdout."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"


FormatOption = Annotated[
    Format,
    typer.Option("--format", metavar="FORMAT", help="table, json, csv or markdown, on stdout."),
]


@dataclass(frozen=True)
class ModelOptions:
    """How to build the network that the user named.

    Attributes:
        weights: Load safetensors or a checkpoint of any trainer.
        partial: With --weights: load what fits of the weights of another network.
        pretrained: Download the library's weights.
        input: Shape of one input, such as 3x224x224. Default: as the model or its library declares.
        resize: Shorter side that images are resized to before the crop, in pixels. Default: from
            the metadata of the weights, else that of the input.
        crop: center keeps the aspect ratio of images, squash does not.
        interpolation: bicubic, bilinear, lanczos or nearest.
        normalize: Normalization of images with values in [0, 1], per channel or for all, such as
            0.5/0.5 or 0.485,0.456,0.406/0.229,0.224,0.225. Default: from the metadata of the
            weights, else ImageNet's.
        reparameterize: Merge parallel branches, such as those of RepVGG, MobileOne, FastViT and
            RepViT, before anything else.
        model_arg: An argument for the model's factory, such as num_classes=10. May be repeated.
    """

    weights: Path | None = option(None, "Model", metavar="FILE")
    partial: bool = option(False, "Model")
    pretrained: bool = option(False, "Model")
    input: str | None = option(None, "Model", metavar="CxHxW")
    resize: int | None = option(None, "Model", min=1, metavar="PIXELS")
    crop: str | None = option(None, "Model", metavar="center|squash")
    interpolation: str | None = option(None, "Model", metavar="NAME")
    normalize: str | None = option(None, "Model", metavar="MEAN/STD")
    reparameterize: bool = option(False, "Model")
    model_arg: list[str] | None = option(None, "Model", metavar="KEY=VALUE")


@dataclass(frozen=True)
class OriginalOptions(ModelOptions):
    """How to build the original of an artifact.

    Attributes:
        model: The original network, if it is your own code. It may load its own weights.
    """

    model: str | None = option(None, "Model", metavar="MODEL", autocompletion=completion.models)


@dataclass(frozen=True)
class SiteOptions:
    """Which convolutions a plan replaces, and within what.

    Attributes:
        include: Replace only layers that match, by the qualified name or type of the layer or of a
            module around it: 'layer1.*', Bottleneck. May be repeated.
        exclude: Keep layers that match. May be repeated.
        stem: Also replace the first convolution, kept dense by default; a budget may prune it.
        all_eligible: Also replace where a Ghost module costs no less, and on 1x1 feature maps.
        budget: Choose how many channels each layer keeps, and at which ratio: macs=0.5 (of the
            original), params=4M, 'macs<=2G'. May be repeated.
        prune: Within the budget, drop output channels where the layers that read them can make up
            for it, or choose Ghost modules alone.
        sensitivity: What ghostify sensitivity has measured, for --budget.
        runtime: Time each layer in this runtime, and keep dense what would not be faster: eager,
            compile, onnxruntime, openvino, onnxruntime-int8, openvino-int8.
        threads: Threads of --runtime.
    """

    include: list[str] | None = option(None, "Plan", metavar="GLOB")
    exclude: list[str] | None = option(None, "Plan", metavar="GLOB")
    stem: bool = option(False, "Plan")
    all_eligible: bool = option(False, "Plan")
    budget: list[str] | None = option(None, "Plan", metavar="COST=LIMIT")
    prune: bool = option(True, "Plan")
    sensitivity: Path | None = option(None, "Plan", metavar="FILE")
    runtime: str | None = option(
        None, "Plan", metavar="NAME", autocompletion=completion.fixed(*completion.RUNTIMES)
    )
    threads: int = option(1, "Plan", min=1)


@dataclass(frozen=True)
class PlanOptions(SiteOptions):
    """What a plan is made by.

    Attributes:
        ratio: Ghost ratio s: about s times fewer MACs in each replaced layer.
        dw_size: Kernel size d of the cheap depthwise operation, odd.
    """

    ratio: float = option(GhostSpec.ratio, "Plan", "-s")
    dw_size: int = option(GhostSpec.dw_size, "Plan", "-d")


@dataclass(frozen=True)
class ImageOptions:
    """Images to calibrate with, and what the network makes of them.

    Attributes:
        calibration: Images of the kind the network is for, in any form of evaluate --data. Labels
            are not used, nor are images that evaluate and recover hold out.
        images: Maximum number of calibration images. Default: 256.
        outputs: What the network's outputs are: classes, multilabel or values. Default: as
            recorded in the folder, else found from the outputs.
    """

    calibration: str | None = option(
        None, "Data", metavar="SOURCE", autocompletion=completion.sources
    )
    images: int | None = option(None, "Data", min=1)
    outputs: str | None = option(None, "Data", metavar="KIND")

    def __post_init__(self) -> None:
        if self.images is not None and self.calibration is None:
            raise GhostifyError("--images is the number of images of --calibration: add it")


@dataclass(frozen=True)
class CalibrationOptions(ImageOptions):
    """Images to calibrate with, and where.

    Attributes:
        device: Where to calibrate and to measure: cpu, cuda, cuda:1.
    """

    device: str = option("cpu", "Data", metavar="NAME")


@dataclass(frozen=True)
class DataOptions:
    """Images to train on and to evaluate on.

    Attributes:
        data: A folder of images, with a subfolder for each class or without labels, perhaps in
            train and val; an image; a file of tensors (.pt, .safetensors, .npy); cifar10,
            cifar100, mnist5k, digits; or package.module:function or file.py:function that returns
            a DataLoader, two of them, or batches.
        data_root: Folder of CIFAR. Default: the user's cache folder.
        batch_size: Batch size.
        workers: Processes that load images; 0 for none.
        held_out: Share of the images to validate on, if the source has no validation part; 1 for
            all. Default: 0.1; for evaluate all, if the network was not fitted to some of them.
        no_labels: Ignore the source's labels.
        outputs: What the network's outputs are: classes, multilabel or values. Default: found from
            the labels, else as recorded in the folder, else found from the outputs.
    """

    data: str = option(..., "Data", metavar="SOURCE", autocompletion=completion.sources)
    data_root: Path | None = option(None, "Data", metavar="DIR")
    batch_size: int = option(32, "Data", min=1)
    workers: int = option(0, "Data", min=0)
    held_out: float | None = option(None, "Data", min=0, max=1)
    no_labels: bool = option(False, "Data")
    outputs: str | None = option(None, "Data", metavar="KIND")


def is_given(context: typer.Context, *names: str) -> bool:
    """Return whether the user wrote one of these options."""
    sources = [context.get_parameter_source(name) for name in names]
    return any(source is not None and source.name == "COMMANDLINE" for source in sources)
