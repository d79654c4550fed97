"""Accuracy over MACs and over latency, for GhostNet and its peers: the paper's two figures.

    python -m speed.peers [--runtime onnxruntime] [--seconds 60] [--out .]

Requires ``pip install -e '.[bench,export,timm]'``. Accuracies are published ones, with sources in
``peers.toml`` or from torchvision's weights. Networks have random weights, which do not affect the
times.
Runs of all networks are interleaved: one thread, batch 1, 224x224. Prints a table, and draws
``peers-macs.png`` and ``peers-latency.png``.
"""

import argparse
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from torchvision.models import get_model_weights

import ghostify
from ghostify.deployment.environment import processor
from ghostify.models.registry import build
from ghostify.types import ModelSource
from ghostify.types.progress import Progress

OWN = {"GhostNet": "#d62728", "GhostNetV2": "#ff7f0e"}
LEFT, RIGHT = (-7, 6), (7, -13)  # offset of a label from its point, in points
OTHERS = ("#1f77b4", "#2ca02c", "#9467bd", "#8c564b", "#17becf", "#7f7f7f", "#bcbd22", "#393b79")
MARKERS = "sD^vPX<>"


@dataclass
class Peer:
    """One network; MACs and seconds are set when it is timed.

    Attributes:
        name: MODEL.
        top1: published accuracy in percent.
        seconds: lower quartile, median and upper quartile of a run.
    """

    family: str
    name: str
    label: str
    top1: float
    source: str
    macs: int = 0
    seconds: tuple[float, float, float] = (0.0, 0.0, 0.0)


def peers(names: list[str] | None) -> list[Peer]:
    """Return all networks of ``peers.toml``, or those with these names."""
    listed = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    sources = listed.pop("sources")
    found = [
        Peer(family, name, entry["label"], *published(name, entry, sources))
        for family, networks in listed.items()
        for name, entry in networks.items()
        if names is None or name in names
    ]
    if names and len(found) < len(set(names)):
        raise SystemExit(f"not in peers.toml: {sorted(set(names) - {p.name for p in found})}")
    return found


def published(name: str, entry: dict[str, Any], sources: dict[str, str]) -> tuple[float, str]:
    if "top1" in entry:
        return entry["top1"], sources[entry["source"]]
    weights = get_model_weights(name.removeprefix("torchvision:")).DEFAULT
    return weights.meta["_metrics"]["ImageNet-1K"]["acc@1"], f"torchvision, {weights}"


def measure(found: list[Peer], runtime: str, seconds: float) -> None:
    """Set MACs and seconds."""
    models = {}
    for peer in found:
        print(f"  {peer.name}", flush=True)
        models[peer.name] = build(ModelSource(peer.name))[0].eval()

    def say(progress: Progress) -> None:
        print(f"  {progress.detail}", flush=True)

    image = torch.randn(1, 3, 224, 224)
    timing = ghostify.benchmark(models, image, runtime=[runtime], seconds=seconds, progress=say)
    for peer, measured in zip(found, timing.measurements, strict=True):
        spread = measured.seconds
        peer.macs = timing.macs[peer.name]
        peer.seconds = (spread.lower, spread.median, spread.upper)


def table(found: list[Peer]) -> str:
    lines = [
        "| network | MACs (M) | ms | quartiles | top-1 | published by |",
        "|---|---|---|---|---|---|",
    ]
    for peer in sorted(found, key=lambda peer: peer.seconds[1]):
        lower, middle, upper = (f"{1000 * seconds:.2f}" for seconds in peer.seconds)
        lines.append(
            f"| {peer.family} {peer.label} | {peer.macs / 1e6:.0f} | {middle} | {lower}-{upper} | "
            f"{peer.top1:.1f} | {peer.source} |"
        )
    return "\n".join(lines)


def draw(found: list[Peer], file: Path, *, latency: bool, title: str, axis: str) -> None:
    """Draw a line for each family, those with Ghost modules in front."""
    figure = Figure(figsize=(8.6, 5.4), dpi=130, layout="constrained")
    axes = figure.subplots()
    families = list(dict.fromkeys(peer.family for peer in found))
    others = [family for family in families if family not in OWN]
    for family in families:
        mine = sorted((p for p in found if p.family == family), key=lambda peer: peer.top1)
        place = others.index(family) if family in others else None
        own = place is None
        beside = RIGHT if latency and family == "GhostNet" else LEFT
        x = [1000 * peer.seconds[1] if latency else peer.macs / 1e6 for peer in mine]
        y = [peer.top1 for peer in mine]
        axes.plot(
            x, y, label=family,
            color=OWN[family] if own else OTHERS[place % len(OTHERS)],
            marker="o" if own else MARKERS[place % len(MARKERS)],
            linewidth=2.6 if own else 1.4, markersize=8 if own else 6,
            alpha=1.0 if own else 0.85, zorder=3 if own else 2,
        )  # fmt: skip
        for peer, place_x, place_y in zip(mine, x, y, strict=True):
            if own:
                axes.annotate(
                    peer.label.replace("x", "×"), (place_x, place_y), xytext=beside,
                    textcoords="offset points", ha="left" if beside is RIGHT else "right",
                    fontsize=9, color=OWN[family], weight="bold", zorder=4,
                    path_effects=[withStroke(linewidth=3, foreground="white")],
                )  # fmt: skip
    axes.set_xlim(left=0)
    axes.set_xlabel(axis)
    axes.set_ylabel("top-1 on ImageNet, % (as published)")
    axes.set_title(title, loc="left", weight="bold")
    axes.grid(color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    figure.savefig(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", help="comma-separated names in peers.toml; default: all")
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--seconds", type=float, default=60, help="time for all rounds")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the pictures")
    options = parser.parse_args()
    torch.manual_seed(0)
    found = peers(options.networks.split(",") if options.networks else None)
    measure(found, options.runtime, options.seconds)
    print(f"\n{processor()}; {options.runtime}, one thread, batch 1, 224x224\n\n{table(found)}")
    options.out.mkdir(parents=True, exist_ok=True)
    draw(found, options.out / "peers-macs.png", latency=False,
         title="Accuracy against multiply-accumulates", axis="MACs, millions")  # fmt: skip
    draw(found, options.out / "peers-latency.png", latency=True,
         title=f"Accuracy against latency in {options.runtime}",
         axis=f"ms for one image, one thread of {processor()}")  # fmt: skip


if __name__ == "__main__":
    main()
