"""Train a network to try ghostify on: ResNet-20 reads 5,000 handwritten digits.

    python examples/train_digits.py

Takes about a minute on a laptop after ``pip install '.[train]'``. Writes ``resnet20.safetensors``.
"""

from __future__ import annotations

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

import ghostify
from ghostify import models
from ghostify.types import ModelSource

EPOCHS = 2


def main() -> None:
    """Train, print the accuracy on images held out, and save the weights."""
    torch.manual_seed(0)
    model, source = models.build(ModelSource("ghostify:cifar_resnet20"))
    data = ghostify.open_data("mnist5k", model, source)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1e-2, total_steps=EPOCHS * len(data.train)
    )
    for epoch in range(EPOCHS):
        ghostify.data.set_epoch(data.train, epoch)
        for images, labels in data.train:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1} of {EPOCHS}: loss {loss.item():.3f}", flush=True)
    print(f"top-1 {ghostify.evaluate(model, data, progress=False).top1:.1%} on images held out")
    save_file(model.state_dict(), "resnet20.safetensors")


if __name__ == "__main__":
    main()
