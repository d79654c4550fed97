"""Train a converted Unet of segmentation-models-pytorch for a few steps."""

import segmentation_models_pytorch as smp
import torch

import ghostify

torch.manual_seed(0)
model = smp.Unet("resnet18", encoder_weights=None, classes=2)
images, masks = torch.rand(2, 3, 64, 64), torch.randint(0, 2, (2, 64, 64))

ghost = ghostify.convert(model, images, ratio=2)
print(ghostify.compare(model, ghost, images))

optimizer = torch.optim.AdamW(ghost.parameters(), lr=1e-3)
dice = smp.losses.DiceLoss(mode="multiclass")
for step in range(3):
    loss = dice(ghost(images), masks)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step}: loss {loss.item():.3f}")
