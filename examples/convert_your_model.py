"""Convert your own model step by step: analyze, plan, edit the plan, convert."""

from dataclasses import replace

import torch
from torch import nn

import ghostify
from ghostify import GhostSpec, Plan


class Detector(nn.Module):
    """Two branches over one backbone, and an output that is a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1, groups=64, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
            nn.Conv2d(64, 128, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU(),
        )  # fmt: skip
        self.scores = nn.Conv2d(128, 20, 3, padding=1)
        self.boxes = nn.Conv2d(128, 4, 3, padding=1)

    def forward(self, image: torch.Tensor, threshold: float = 0.0) -> dict[str, torch.Tensor]:
        x = self.backbone(image)
        return {"scores": self.scores(x).sigmoid() - threshold, "boxes": self.boxes(x)}


model = Detector()
example = {"image": torch.zeros(1, 3, 128, 128)}  # or a tensor, or a tuple

# Analyze: every convolution, and whether it can be replaced or why not.
sites = ghostify.analyze(model, example)
print(sites)

# Plan: the same ratio and kernel size everywhere, except for the boxes.
plan = ghostify.plan(sites, ratio=2, dw_size=3, exclude=["boxes"])

# Edit: a higher ratio for the widest layer. A plan is data, here or as JSON.
plan = Plan(
    tuple(
        replace(decision, ghost=GhostSpec(ratio=4))
        if decision.site.name == "backbone.9"
        else decision
        for decision in plan.decisions
    )
)
print(plan)

# Convert. The model itself is not changed.
ghost = ghostify.convert(model, plan=plan)
print(ghostify.compare(model, ghost, example))

# The converted model has your class and trains like it.
outputs = ghost(torch.randn(2, 3, 128, 128))
outputs["scores"].sum().backward()
