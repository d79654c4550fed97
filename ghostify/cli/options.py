"""Options that several commands share, in groups that travel as one value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ghostify import GhostSpec

ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="resnet50 (torchvision), torchvision:NAME, timm:NAME, ghostify:NAME, "
        "package.module:factory or path/to/file.py:factory.",
    ),
]
Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="A folder that ghostify convert has made.")
]
ModelOrFolder = Annotated[
    str,
    typer.Argument(
        metavar="MODEL_OR_DIR", help="A network, or a folder that ghostify convert has made."
    ),
]
Images = Annotated[
    int, typer.Option("--images", min=1, help="Maximum number of calibration images.")
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


FormatOption = Annotated[Format, typer.Option("--format", help="How to print on stdout.")]

_MODEL, _PLAN, _DATA = "Model", "Plan", "Data"


@dataclass(frozen=True)
class ModelOptions:
    """How to build the network that the user named."""

    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            metavar="FILE",
            help="Load safetensors or a tensors-only checkpoint.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    pretrained: Annotated[
        bool,
        typer.Option(
            "--pretrained", help="Download the library's weights.", rich_help_panel=_MODEL
        ),
    ] = False
    input: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="CxHxW",
            help="Shape of one input, such as 3x224x224. Default: what the model says of itself.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    normalize: Annotated[
        str | None,
        typer.Option(
            "--normalize",
            metavar="MEAN/STD",
            help="Normalization of images with values in [0, 1], for each channel or for all, such "
            "as 0.5/0.5 or 0.485,0.456,0.406/0.229,0.224,0.225. Default: what the model or its "
            "library says.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    model_arg: Annotated[
        list[str] | None,
        typer.Option(
            "--model-arg",
            metavar="KEY=VALUE",
            help="An argument for the model's factory, such as num_classes=10. May be repeated.",
            rich_help_panel=_MODEL,
        ),
    ] = None


@dataclass(frozen=True)
class OriginalOptions(ModelOptions):
    """How to build the original of an artifact."""

    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="The original network, if the folder cannot say. It may load its own weights.",
            rich_help_panel=_MODEL,
        ),
    ] = None

    @property
    def has_weights(self) -> bool:
        """Whether the user says where the original's weights come from."""
        return self.weights is not None or self.pretrained or self.model is not None


@dataclass(frozen=True)
class SiteOptions:
    """Which convolutions a plan replaces, and what for."""

    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include",
            metavar="GLOB",
            help="Replace only what matches, by qualified name or module type, its own or one "
            "around it: 'layer1.*', Bottleneck. May be repeated.",
            rich_help_panel=_PLAN,
        ),
    ] = None
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="GLOB",
            help="Keep what matches. May be repeated.",
            rich_help_panel=_PLAN,
        ),
    ] = None
    stem: Annotated[
        bool,
        typer.Option(
            "--stem",
            help="Also replace the first convolution, kept dense by default.",
            rich_help_panel=_PLAN,
        ),
    ] = False
    all_eligible: Annotated[
        bool,
        typer.Option(
            "--all-eligible",
            help="Also replace where a Ghost module costs no less, and on 1x1 feature maps.",
            rich_help_panel=_PLAN,
        ),
    ] = False
    budget: Annotated[
        list[str] | None,
        typer.Option(
            "--budget",
            metavar="COST=LIMIT",
            help="Choose the ratio of each layer: macs=0.5 (of the original), params=4M, "
            "'macs<=2G'. May be repeated.",
            rich_help_panel=_PLAN,
        ),
    ] = None
    sensitivity: Annotated[
        Path | None,
        typer.Option(
            "--sensitivity",
            metavar="FILE",
            help="What ghostify sensitivity has measured, for --budget.",
            rich_help_panel=_PLAN,
        ),
    ] = None
    runtime: Annotated[
        str | None,
        typer.Option(
            "--runtime",
            metavar="NAME",
            help="Time each layer in this runtime, and keep dense what would not be faster: eager, "
            "compile, onnxruntime, openvino.",
            rich_help_panel=_PLAN,
        ),
    ] = None
    threads: Annotated[
        int, typer.Option("--threads", min=1, help="Threads of --runtime.", rich_help_panel=_PLAN)
    ] = 1


@dataclass(frozen=True)
class PlanOptions(SiteOptions):
    """What a plan is made by."""

    ratio: Annotated[
        float,
        typer.Option(
            "--ratio",
            "-s",
            help="Ghost ratio s: about s times fewer MACs in each replaced layer.",
            rich_help_panel=_PLAN,
        ),
    ] = GhostSpec.ratio
    dw_size: Annotated[
        int,
        typer.Option(
            "--dw-size",
            "-d",
            help="Kernel size d of the cheap depthwise operation, odd.",
            rich_help_panel=_PLAN,
        ),
    ] = GhostSpec.dw_size


@dataclass(frozen=True)
class CalibrationOptions:
    """Images to calibrate with."""

    calibration: Annotated[
        str | None,
        typer.Option(
            "--calibration",
            metavar="SOURCE",
            help="Images of the kind the network is for, without labels: a folder; a file with one "
            "tensor (.pt, .safetensors, .npy); cifar10, cifar100, mnist5k, digits; or "
            "package.module:function or file.py:function that returns a DataLoader.",
            rich_help_panel=_DATA,
        ),
    ] = None
    images: Images = 256


@dataclass(frozen=True)
class DataOptions:
    """Labelled or unlabelled images to train on and to evaluate on."""

    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="SOURCE",
            help="A folder of images, with a subfolder for each class or without labels, perhaps "
            "in train and val; cifar10, cifar100, mnist5k, digits; or package.module:function or "
            "file.py:function that returns DataLoaders.",
            rich_help_panel=_DATA,
        ),
    ]
    data_root: Annotated[
        Path | None,
        typer.Option(
            "--data-root",
            metavar="DIR",
            help="Where CIFAR is. Default: the user's cache folder.",
            rich_help_panel=_DATA,
        ),
    ] = None
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, help="Batch size.", rich_help_panel=_DATA)
    ] = 32
    workers: Annotated[
        int,
        typer.Option(
            "--workers", min=0, help="Processes that load images; 0 for none.",
            rich_help_panel=_DATA,
        ),
    ] = 0  # fmt: skip
    held_out: Annotated[
        float,
        typer.Option(
            "--held-out",
            min=0,
            max=1,
            help="Share of the images to validate on, if the source has no validation part; 1 for "
            "all.",
            rich_help_panel=_DATA,
        ),
    ] = 0.1
    no_labels: Annotated[
        bool,
        typer.Option("--no-labels", help="Ignore the source's labels.", rich_help_panel=_DATA),
    ] = False


def is_given(context: typer.Context, *names: str) -> bool:
    """Return whether the user wrote one of these options."""
    sources = [context.get_parameter_source(name) for name in names]
    return any(source is not None and source.name == "COMMANDLINE" for source in sources)
