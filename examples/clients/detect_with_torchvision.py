"""Train a converted Faster R-CNN for one step."""

import torch
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

import ghostify

torch.manual_seed(0)
model = fasterrcnn_mobilenet_v3_large_320_fpn(
    weights=None, weights_backbone=None, num_classes=3, min_size=128, max_size=160
)
images = [torch.rand(3, 120, 160), torch.rand(3, 100, 140)]
targets = [{"boxes": torch.tensor([[10.0, 20.0, 80.0, 90.0]]), "labels": torch.tensor([1])}] * 2

# Images and targets, as in a call in training mode.
ghost = ghostify.convert(model, (images, targets), ratio=2)
print(ghostify.compare(model, ghost, (images, targets)))

optimizer = torch.optim.SGD(ghost.parameters(), lr=0.01)
losses = ghost.train()(images, targets)
loss = sum(losses.values())
optimizer.zero_grad()
loss.backward()
optimizer.step()
print(", ".join(f"{name} {value.item():.2f}" for name, value in losses.items()))

with torch.no_grad():
    print(f"{len(ghost.eval()(images)[0]['boxes'])} boxes in the first image")
