"""Latency, size and agreement of original and converted networks in float32 and INT8.

    python -m speed.int8 [--networks resnet50,...] [--plans s=2,...] [--trained VGG-16,...]

Requires ``pip install -e '.[export,int8,bench,train]'``. Latency: random weights, one thread, batch
1, 224x224; both precisions of all plans of a network are interleaved. Agreement: trained networks
of the benchmark ``accuracy``, calibrated without labels, compared on other images with the original
in float32. Lite0 is EfficientNet-Lite0 with ImageNet weights, the others read digits.
"""

import argparse
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from accuracy import debian_photographs, digits, photographs
from accuracy.networks import trained
from speed.realized import PLANS
from torch import Tensor, nn
from torchvision.models import get_model

import ghostify
from ghostify.deployment import EXPORTERS
from ghostify.deployment.environment import processor
from ghostify.planning.flops import count

CACHE = Path.home() / ".cache" / "ghostify-accuracy"
RUNTIMES = {"onnx": "onnxruntime", "openvino": "openvino"}


def converted(model: nn.Module, image: Tensor, plans: list[str], **options: Any) -> dict[str, Any]:
    """Return the original and its conversions by name; other names than `PLANS` are budgets."""
    made = {"original": model}
    for plan in plans:
        made[plan] = ghostify.convert(model, image, **PLANS.get(plan, {"budget": plan}), **options)
    return made


def megabytes(model: nn.Module, image: Tensor) -> str:
    """Return the sizes of the ONNX files in float32 and in INT8."""
    images = torch.randn(10, *image.shape[1:])
    sizes = []
    with TemporaryDirectory() as folder:
        for options in ({}, {"int8": True, "calibration": images, "max_divergence": math.inf}):
            path = Path(folder, "network.onnx")
            sizes.append(ghostify.export(model, image, path, force=True, **options).size / 1e6)
    return " | ".join(f"{size:.1f}" for size in sizes)


def latencies(name: str, plans: list[str], seconds: float) -> None:
    """Print the rows of one network."""
    image = torch.randn(1, 3, 224, 224)
    models = converted(get_model(name).eval(), image, plans, init="random")
    runtimes = [each + suffix for each in RUNTIMES.values() for suffix in ("", "-int8")]
    timing = ghostify.benchmark(models, image, runtime=runtimes, seconds=seconds)
    for plan, model in models.items():
        cells = [f"{timing.macs_ratio(plan):.2f}", megabytes(model, image)]
        for measured in timing.measurements:
            if measured.model == plan:
                cells.append(f"{1000 * measured.seconds.median:.1f}")
                if measured.runtime.endswith("int8"):
                    cells.append(f"{measured.speedup.median:.2f}")
        print(f"| {name} | {plan} | {' | '.join(cells)} |", flush=True)


def bed(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a trained network, images to calibrate with, and others to compare on."""
    if name == "Lite0":
        debian_photographs.make(CACHE / "photographs")
        sides = (
            photographs.center_crops(CACHE / "photographs" / side) for side in ("train", "test")
        )
        return photographs.efficientnet_lite0(), *sides
    images, _ = digits.dataset(640, test=False, seed=100)
    return trained(name, 0, CACHE), images, digits.dataset(3000, test=True, seed=1)[0]


class File(nn.Module):
    """An exported file in its runtime."""

    def __init__(self, path: Path, to: str) -> None:
        super().__init__()
        self.session = EXPORTERS[to].open(path, torch.get_num_threads())

    def forward(self, x: Tensor) -> Tensor:
        return self.session([x])[0]


def agreements(name: str, plans: list[str]) -> None:
    """Print the rows of one trained network."""
    original, images, others = bed(name)
    image = images[:1]
    models = converted(original, image, plans, calibration=images, outputs="classes")
    macs = {plan: count(model, image).conv_and_linear_macs for plan, model in models.items()}
    for plan, model in models.items():
        found = [photographs.agreement(original, model, others)]
        for to in RUNTIMES:
            with TemporaryDirectory() as folder:
                path = Path(folder, f"network{EXPORTERS[to].ending}")
                ghostify.export(
                    model, image, path, int8=True, calibration=images, max_divergence=math.inf
                )
                found.append(photographs.agreement(original, File(path, to), others))
        ratio = macs["original"] / macs[plan]
        print(f"| {name} | {plan} | {ratio:.2f} | {' | '.join(map(str, found))} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default="resnet50,vgg16_bn,mobilenet_v2")
    parser.add_argument("--plans", default=",".join(PLANS))
    parser.add_argument("--trained", default="VGG-16,ResNet-20,Lite0")
    parser.add_argument("--trained-plans", default="s=2,macs=0.8,macs=0.5,macs=0.3")
    parser.add_argument("--seconds", type=float, default=30, help="time for each runtime")
    options = parser.parse_args()
    torch.manual_seed(0)
    networks, beds = (
        [n for n in names.split(",") if n] for names in (options.networks, options.trained)
    )
    if networks:
        print(f"{processor()}; one thread; milliseconds, and times as fast as the INT8 original\n")
        columns = ["network", "plan", "MACs", "MB", "MB, INT8"]
        for runtime in ("ONNX Runtime", "OpenVINO"):
            columns += [f"{runtime}, ms", f"{runtime} INT8, ms", "gain"]
        print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name in networks:
        latencies(name, options.plans.split(","), options.seconds)
    if beds:
        print("\nagreement with the float32 original: top-1 / top-5 / KL in nats\n")
        print("| network | plan | MACs | float32 | ONNX Runtime, INT8 | OpenVINO, INT8 |")
        print("|---|---|---|---|---|---|")
    for name in beds:
        agreements(name, options.trained_plans.split(","))


if __name__ == "__main__":
    main()
