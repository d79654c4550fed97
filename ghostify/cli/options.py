"""Arguments and options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ghostify import GhostifyError, ModelSource

ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="resnet50 (torchvision), torchvision:NAME, timm:NAME, ghostify:NAME, "
        "package.module:factory or path/to/file.py:factory.",
    ),
]
ModelOrFolder = Annotated[
    str,
    typer.Argument(
        metavar="MODEL_OR_DIR", help="A network, or a folder that ghostify convert has made."
    ),
]
Original = Annotated[
    str | None,
    typer.Option("--model", metavar="MODEL", help="The original, if the folder cannot say."),
]
Input = Annotated[
    str | None,
    typer.Option(
        "--input",
        metavar="CxHxW",
        help="Shape of one input, such as 3x224x224. Default: what the model says of itself.",
    ),
]
Normalize = Annotated[
    str | None,
    typer.Option(
        "--normalize",
        metavar="MEAN/STD",
        help="Of images with values in [0, 1], for each channel or for all, such as 0.5/0.5 or "
        "0.485,0.456,0.406/0.229,0.224,0.225. Default: what the model or its library says.",
    ),
]
ModelArgs = Annotated[
    list[str] | None,
    typer.Option(
        "--model-arg",
        metavar="KEY=VALUE",
        help="An argument for the model's factory, such as num_classes=10. May be repeated.",
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights", metavar="FILE", help="Load safetensors or a tensors-only checkpoint."
    ),
]
Pretrained = Annotated[
    bool, typer.Option("--pretrained", help="Download the library's weights for the model.")
]
Ratio = Annotated[
    float, typer.Option("--ratio", "-s", help="s, outputs for each intrinsic map; above 1.")
]
Kernel = Annotated[
    int,
    typer.Option("--kernel", "-d", help="d, the cheap operation's kernel, dw_size in a plan; odd."),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include",
        metavar="GLOB",
        help="Replace only what matches by qualified name or module type, its own or one around "
        "it: 'layer1.*', Bottleneck. May be repeated.",
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="GLOB", help="Keep what matches. May be repeated."),
]
Stem = Annotated[
    bool,
    typer.Option("--stem", help="Also replace the first convolution, kept dense by default."),
]
AllEligible = Annotated[
    bool,
    typer.Option(
        "--all-eligible",
        help="Also replace where a Ghost module costs no less, and on 1x1 maps.",
    ),
]

Calibration = Annotated[
    str | None,
    typer.Option(
        "--calibration",
        metavar="SOURCE",
        help="Images of the kind the network is for, without labels: a folder; a file with one "
        "tensor (.pt, .safetensors, .npy); cifar10, cifar100, mnist5k, digits; or "
        "package.module:function or file.py:function that returns a DataLoader.",
    ),
]
Images = Annotated[
    int, typer.Option("--images", min=1, help="How many images of --calibration to use at most.")
]
Budget = Annotated[
    list[str] | None,
    typer.Option(
        "--budget",
        metavar="COST=LIMIT",
        help="Choose the ratio of each layer: macs=0.5 (of the original), params=4M, 'macs<=2G'. "
        "May be repeated.",
    ),
]
SensitivityFile = Annotated[
    Path | None,
    typer.Option(
        "--sensitivity",
        metavar="FILE",
        help="For --budget: what replacing each layer does, from ghostify sensitivity.",
    ),
]
PlanRuntime = Annotated[
    str | None,
    typer.Option(
        "--runtime",
        metavar="NAME",
        help="Time each layer in this runtime, and leave dense what would not be faster: eager, "
        "compile, onnxruntime, openvino.",
    ),
]
PlanThreads = Annotated[int, typer.Option("--threads", min=1, help="Threads of --runtime.")]

DataSource = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="SOURCE",
        help="A folder of images, with a subfolder for each class or without labels, perhaps in "
        "train and val; cifar10, cifar100, mnist5k, digits; or package.module:function or "
        "file.py:function that returns DataLoaders.",
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root", metavar="DIR", help="Where CIFAR is. Default: a cache folder of the user."
    ),
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Images to a batch.")]
Workers = Annotated[
    int, typer.Option("--workers", min=0, help="Processes that load images; 0 for none.")
]
HeldOut = Annotated[
    float,
    typer.Option(
        "--held-out",
        min=0,
        max=1,
        help="Share of the images that is not trained on, where the source has no validation part; "
        "1 for all.",
    ),
]
NoLabels = Annotated[bool, typer.Option("--no-labels", help="Do without the source's labels.")]
Device = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="NAME", help="cpu, cuda, cuda:1. Default: a GPU where there is one."
    ),
]


class Format(StrEnum):
    """How a document is printed on stdout."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"


FormatOption = Annotated[Format, typer.Option("--format", help="How to print on stdout.")]


def source_of(
    model: str,
    input: str | None,
    arguments: list[str] | None,
    normalize: str | None = None,
) -> ModelSource:
    """What the user said of the model, read and checked.

    Raises:
        GhostifyError: if a shape, an argument or the normalisation is not of its form.
    """
    return ModelSource.parse(model, input, arguments or (), normalize)


def is_given(context: typer.Context, *names: str) -> bool:
    """Whether the user wrote one of these options."""
    sources = [context.get_parameter_source(name) for name in names]
    return any(source is not None and source.name == "COMMANDLINE" for source in sources)


def check_budget(context: typer.Context, budget: list[str] | None) -> None:
    """See that a budget and the numbers of the uniform plan are not both given.

    Raises:
        GhostifyError: if they are.
    """
    if budget and is_given(context, "ratio", "kernel"):
        raise GhostifyError("--budget chooses ratio and kernel itself: drop --ratio and --kernel")
