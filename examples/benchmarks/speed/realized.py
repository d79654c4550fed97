"""Speed-up of converted networks, and its share of the MACs ratio.

    python -m speed.realized [--networks resnet50,vgg16_bn] [--runtimes onnxruntime,openvino,eager]

Requires ``pip install -e '.[export,bench]'``. One thread, batch 1, 224x224, random weights; uniform
plans at s = 2 and s = 4, and plans within half and 0.3 of the MACs. The realized share of the MACs
ratio is in parentheses. Failures are listed below the table.
"""

import argparse
from typing import Any

import torch
from torch import nn
from torchvision.models import get_model, list_models

import ghostify
from ghostify.deployment.environment import processor

PLANS: dict[str, dict[str, Any]] = {
    "s=2": {"ratio": 2},
    "s=4": {"ratio": 4},
    "macs=0.5": {"budget": "macs=0.5"},
    "macs=0.3": {"budget": "macs=0.3"},
}
"""Arguments of `ghostify.plan` by name."""

CLASSIFIERS = "resnet50,vgg16_bn,mobilenet_v2,efficientnet_b0,densenet121"
DETECTORS = "yolov8n,retinanet_resnet50_fpn"


class FirstOutputs(nn.Module):
    """The network of a detector on a batch of images, without box postprocessing."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = model.backbone, model.head

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        found = self.head(list(self.backbone(images).values()))
        return [found["cls_logits"], found["bbox_regression"]]


def network(name: str) -> nn.Module:
    if name.startswith("yolo"):
        from ultralytics import YOLO

        return YOLO(f"{name}.yaml").model.eval()
    if name.startswith("retinanet"):
        return FirstOutputs(get_model(name, weights_backbone=None)).eval()
    assert name in list_models(), name
    return get_model(name).eval()


def rows(
    name: str, plans: list[str], runtimes: list[str], seconds: float
) -> tuple[list[str], list[str]]:
    """Return the Markdown lines of one network, and the failures."""
    image = torch.randn(1, 3, 224, 224)
    original = network(name)
    models = {"original": original}
    for plan in plans:
        models[plan] = ghostify.convert(original, image, init="random", **PLANS[plan])
    cells: dict[str, list[str]] = {plan: [] for plan in plans}
    ratios, failures = {}, []
    for runtime in runtimes:
        try:
            timing = ghostify.benchmark(models, image, runtime=[runtime], seconds=seconds)
        except ghostify.GhostifyError as error:
            failures.append(f"{name}: {error}")
            for row in cells.values():
                row.append("-")
            continue
        for measured in timing.measurements[1:]:
            ratios[measured.model] = timing.macs_ratio(measured.model)
            speedup = measured.speedup
            cells[measured.model].append(
                f"{speedup.median:.2f} ({timing.realized(measured):.2f}), "
                f"{speedup.lower:.2f}-{speedup.upper:.2f}"
            )
    return [
        f"| {name} | {plan} | {ratios[plan]:.2f} | {' | '.join(row)} |"
        for plan, row in cells.items()
        if plan in ratios
    ], failures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default=f"{CLASSIFIERS},{DETECTORS}")
    parser.add_argument("--plans", default=",".join(PLANS))
    parser.add_argument("--runtimes", default="onnxruntime,openvino,eager,compile")
    parser.add_argument("--seconds", type=float, default=20, help="time per network and runtime")
    options = parser.parse_args()
    torch.manual_seed(0)
    runtimes = options.runtimes.split(",")
    print(f"{processor()}; one thread; speed-up (realized share of the MACs ratio), quartiles\n")
    print(f"| network | plan | MACs | {' | '.join(runtimes)} |")
    print("|---|---|---|" + "---|" * len(runtimes))
    failures = []
    for name in options.networks.split(","):
        lines, failed = rows(name, options.plans.split(","), runtimes, options.seconds)
        print("\n".join(lines), flush=True)
        failures += failed
    print("\n" + "\n".join(f"- {failure}" for failure in failures))


if __name__ == "__main__":
    main()
