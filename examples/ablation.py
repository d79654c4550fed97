"""Train the GhostNet paper's ablations: accuracy over the ratio s and the kernel size d.

    python examples/ablation.py --data cifar10 --model cifar_vgg16 --epochs 400 --out ablation

Requires ``pip install -e '.[train,plot]'``.

A network and its conversions are trained from scratch: every ratio with d = 3, and every kernel
size with s = 2, once for each seed. All convolutions are replaced, as in the paper. The recipe is
the paper's for CIFAR-10, scaled to the number of epochs: SGD, learning rate 0.1, divided by 10
after 1/2, 3/4 and 15/16 of the epochs, weight decay 1e-4, random shifts by up to an eighth of the
image, and random flips except for digits.

A folder of images has a subfolder for each class; all images are held in memory. Finished runs are
kept in --out and not trained again. The results are table.md, results.json and accuracy.png.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F

import ghostify
from ghostify import GhostifyError, GhostSpec, models
from ghostify.data import open_data
from ghostify.io.atomic import write_text
from ghostify.models.cifar import CIFAR_NETWORKS
from ghostify.planning import plan_sites
from ghostify.planning.flops import count
from ghostify.report.plots import check_plot, write_plot
from ghostify.types import Augmentation, ModelSource, Preprocessing

GRAY = ("mnist5k", "digits")
HELD_OUT = 0.2
BATCH = 128
BLACK = -1.0


@dataclass(frozen=True)
class Settings:
    """Settings that comparable runs share."""

    data: str
    size: int
    model: str
    width: float
    epochs: int

    @property
    def channels(self) -> int:
        return 1 if self.data in GRAY else 3


@dataclass(frozen=True)
class Run:
    """A trained network; accuracy is the top-1 accuracy on the test images."""

    settings: dict[str, Any]
    ratio: float | None
    dw_size: int | None
    seed: int
    params: int
    macs: int
    accuracy: float
    seconds: float


@dataclass(frozen=True)
class Images:
    """All images ``(N, C, H, W)``, between -1 and 1, and their classes ``(N)``."""

    train: Tensor
    train_classes: Tensor
    test: Tensor
    test_classes: Tensor


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    settings = Settings(
        str(options.data), options.size, options.model, options.width, options.epochs
    )
    check_plot(options.out / "accuracy.png")
    images = read(settings)
    print(f"{len(images.train)} training images, {len(images.test)} test images", flush=True)
    specs = variants(options.ratios, options.kernels)
    found = []
    for seed in options.seeds:
        for spec in specs:
            run = finished(options.out, settings, spec, seed)
            if run is None:
                run = train_one(settings, spec, seed, images)
                write_text(file_of(options.out, spec, seed), json.dumps(asdict(run), indent=2))
            print(f"{spec or 'dense'}, seed {seed}: {run.accuracy:.1%}", flush=True)
            found.append(run)
    write_text(options.out / "results.json", json.dumps([asdict(run) for run in found], indent=2))
    text = table(found)
    write_text(options.out / "table.md", text)
    plot(found, settings, options.out / "accuracy.png")
    print(text)


def parse() -> argparse.Namespace:
    """Parse the command line."""
    whole, form = __doc__, argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=whole, formatter_class=form)
    parser.add_argument("--data", required=True, help="cifar10, mnist5k, digits or a folder")
    parser.add_argument("--model", default="cifar_vgg16", choices=CIFAR_NETWORKS)
    parser.add_argument("--width", type=float, default=1.0, help="width of the model's layers")
    parser.add_argument("--size", type=int, default=32, help="side of the images in pixels")
    parser.add_argument("--ratios", type=numbers(float), default=[2, 3, 4, 5])
    parser.add_argument("--kernels", type=numbers(int), default=[1, 3, 5, 7])
    parser.add_argument("--epochs", type=int, default=400)
    parser.add_argument("--seeds", type=numbers(int), default=[0, 1])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, required=True, help="folder for runs and results")
    options = parser.parse_args()
    options.out.joinpath("runs").mkdir(parents=True, exist_ok=True)
    return options


def numbers(kind: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    """Return a parser of comma-separated numbers."""
    return lambda text: [kind(part) for part in text.split(",")]


def variants(ratios: list[float], kernels: list[int]) -> list[GhostSpec | None]:
    """Return dense (None), every ratio with d = 3, and every kernel size with s = 2, each once."""
    specs = [GhostSpec(ratio, 3) for ratio in ratios] + [GhostSpec(2, size) for size in kernels]
    return [None, *dict.fromkeys(specs)]


def read(settings: Settings) -> Images:
    """Load all images; a fifth is held out if the data has no test split."""
    shape = (settings.channels, settings.size, settings.size)
    folder = Path(settings.data)
    folder = folder / "train" if folder.joinpath("train").is_dir() else folder
    classes = sum(p.is_dir() for p in folder.glob("[!.]*")) if folder.is_dir() else 10
    data = open_data(
        settings.data,
        build(settings, classes),
        ModelSource(f"ghostify:{settings.model}", input_size=shape),
        batch_size=10**9,  # all in one
        held_out=HELD_OUT,
        augmentation=Augmentation(),
        preprocessing=Preprocessing((0.5,) * shape[0], (0.5,) * shape[0]),
    )
    if data.validation is None or data.classes is None:
        raise GhostifyError(f"{settings.data} has no classes or no test images")
    return Images(*next(iter(data.train)), *next(iter(data.validation)))


def build(settings: Settings, classes: int) -> nn.Module:
    """Build the dense network with random weights."""
    arguments = {
        "num_classes": classes,
        "in_channels": settings.channels,
        "width": settings.width,
    }
    return models.build(ModelSource(f"ghostify:{settings.model}", arguments))[0]


def train_one(settings: Settings, spec: GhostSpec | None, seed: int, images: Images) -> Run:
    """Build a network, convert it, train it and test it."""
    start = time.perf_counter()
    torch.manual_seed(seed)
    network = build(settings, int(images.train_classes.max()) + 1)
    example = images.test[:1]
    if spec is not None:
        sites = ghostify.analyze(network, example)
        plan = plan_sites(
            sites, ratio=spec.ratio, dw_size=spec.dw_size, stem=True, all_eligible=True
        )
        network = ghostify.convert(network, example, plan=plan)  # with its first filters
    counted = count(network, example)
    name = f"{spec or 'dense'}, seed {seed}"
    train(network, images, settings.epochs, mirror=settings.data not in GRAY, name=name)
    return Run(
        settings=asdict(settings),
        ratio=spec and spec.ratio,
        dw_size=spec and spec.dw_size,
        seed=seed,
        params=counted.params,
        macs=counted.conv_and_linear_macs,
        accuracy=accuracy(network, images.test, images.test_classes),
        seconds=round(time.perf_counter() - start, 1),
    )


def train(network: nn.Module, images: Images, epochs: int, *, mirror: bool, name: str) -> None:
    """Train by the paper's recipe for CIFAR-10, scaled to the number of epochs."""
    network.train().to(memory_format=torch.channels_last)  # cheap operations are faster on a CPU
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    batch_size = min(BATCH, len(images.train))
    steps = len(images.train) // batch_size * epochs
    milestones = [round(steps * part) for part in (1 / 2, 3 / 4, 15 / 16)]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones)
    silent = not sys.stdout.isatty()
    for _ in track(range(epochs), description=name, transient=True, disable=silent):
        order = torch.randperm(len(images.train))
        for chosen in order[: steps // epochs * batch_size].split(batch_size):
            batch = varied(images.train[chosen], mirror=mirror)
            loss = F.cross_entropy(network(batch), images.train_classes[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def varied(batch: Tensor, *, mirror: bool) -> Tensor:
    """Shift each image by up to an eighth of its size on black, and flip it at random."""
    number, channels, height, width = batch.shape
    most = height // 8
    padded = F.pad(batch, (most,) * 4, value=BLACK)
    downs, rights = (torch.randint(2 * most + 1, (number, 1)) for _ in range(2))
    rows = (torch.arange(height) + downs)[:, None, :, None]
    columns = (torch.arange(width) + rights)[:, None, None, :]
    image, channel = torch.arange(number), torch.arange(channels)
    moved = padded[image[:, None, None, None], channel[None, :, None, None], rows, columns]
    if mirror:
        turned = torch.rand(number, 1, 1, 1) < 0.5
        moved = torch.where(turned, moved.flip(3), moved)
    return moved


@torch.inference_mode()
def accuracy(network: nn.Module, images: Tensor, classes: Tensor) -> float:
    """Return the top-1 accuracy, 0 to 1."""
    network.eval()
    right = [
        (network(batch).argmax(1) == labels).sum().item()
        for batch, labels in zip(images.split(BATCH), classes.split(BATCH), strict=True)
    ]
    return sum(right) / len(images)


def file_of(out: Path, spec: GhostSpec | None, seed: int) -> Path:
    """Return the file of a run."""
    name = "dense" if spec is None else f"s{spec.ratio:g}-d{spec.dw_size}"
    return out / "runs" / f"{name}-seed{seed}.json"


def finished(out: Path, settings: Settings, spec: GhostSpec | None, seed: int) -> Run | None:
    """Return a finished run, or None.

    Raises:
        GhostifyError: if it has other settings.
    """
    file = file_of(out, spec, seed)
    if not file.exists():
        return None
    run = Run(**json.loads(file.read_text(encoding="utf-8")))
    if run.settings != asdict(settings):
        raise GhostifyError(f"{file} was trained with {run.settings}: pass another --out")
    return run


def grouped(found: list[Run]) -> dict[tuple[float | None, int | None], list[Run]]:
    """Return the runs of each network, over the seeds."""
    groups: dict[tuple[float | None, int | None], list[Run]] = {}
    for run in found:
        groups.setdefault((run.ratio, run.dw_size), []).append(run)
    return groups


def table(found: list[Run]) -> str:
    """Return a Markdown table of mean, lowest and highest accuracy over the seeds."""
    lines = ["| s | d | parameters | MACs | accuracy, % | lowest to highest |"]
    lines += ["|--:|--:|--:|--:|--:|--:|"]
    for (ratio, size), runs in grouped(found).items():
        shares = [100 * run.accuracy for run in runs]
        cells = [
            "dense" if ratio is None else f"{ratio:g}",
            "" if size is None else str(size),
            f"{runs[0].params / 1e6:.3f} M",
            f"{runs[0].macs / 1e6:.2f} M",
            f"{statistics.mean(shares):.1f}",
            f"{min(shares):.1f} to {max(shares):.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def mark(
    axes: Any, key: tuple[float | None, int | None], point: tuple[float, float], *, below: bool
) -> None:
    """Label a mean with its s (above left) or its d (below right), clear of the lines."""
    from matplotlib.patheffects import withStroke

    ratio, size = key
    text = "dense" if ratio is None else f"d={size}" if below else f"s={ratio:g}"
    axes.annotate(
        text,
        point,
        xytext=(6, -13) if below else (-6, 6),
        textcoords="offset points",
        horizontalalignment="left" if below else "right",
        path_effects=[withStroke(linewidth=3, foreground="white")],
    )


def plot(found: list[Run], settings: Settings, file: Path) -> None:
    """Plot accuracy over MACs: a dot for each run, a line through the means."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    groups = grouped(found)
    curves = {
        "d = 3, ratios s": [key for key in groups if key[1] in (None, 3)],
        "s = 2, kernels d": [key for key in groups if key[0] == 2],
    }
    for place, (label, keys) in enumerate(curves.items()):
        keys.sort(key=lambda key: groups[key][0].macs)
        x = [groups[key][0].macs / 1e6 for key in keys]
        means = [100 * statistics.mean(run.accuracy for run in groups[key]) for key in keys]
        axes.plot(x, means, marker="o", color=f"C{place}", label=label)
        for key, macs, mean in zip(keys, x, means, strict=True):
            shares = [100 * run.accuracy for run in groups[key]]
            axes.scatter([macs] * len(shares), shares, s=12, color=f"C{place}", alpha=0.5)
            if place == 0 or key[1] != 3:
                mark(axes, key, (macs, mean), below=place == 1)
    axes.set_xlabel("MACs of convolutions and linear layers, millions")
    axes.set_ylabel("top-1 accuracy, %")
    axes.set_title(
        f"{settings.model}, width {settings.width:g}, {settings.data} at {settings.size} pixels, "
        f"{settings.epochs} epochs, {len({run.seed for run in found})} seeds"
    )
    axes.margins(0.1)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    write_plot(figure, file)


if __name__ == "__main__":
    try:
        main()
    except (GhostifyError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
