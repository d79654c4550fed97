"""Fine-tune a converted timm network on digits, with timm's optimizer, schedule and meters."""

import timm
import torch
from sklearn.datasets import load_digits
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from timm.utils import AverageMeter, accuracy
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset, random_split

import ghostify

torch.manual_seed(0)
digits = load_digits()
images = F.interpolate(torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16, size=32)
data = TensorDataset(images, torch.tensor(digits.target))
train, test = random_split(data, [1500, 297])

model = timm.create_model("resnet10t", in_chans=1, num_classes=10)
ghost = ghostify.convert(model, images[:1], ratio=2)
print(ghostify.compare(model, ghost, images[:1]))

loader = DataLoader(train, batch_size=16, shuffle=True)
optimizer = create_optimizer_v2(ghost, opt="adamw", lr=1e-3, weight_decay=0.02)
scheduler = CosineLRScheduler(optimizer, t_initial=len(loader), t_in_epochs=False)
losses = AverageMeter()

ghost.train()
for step, (batch, labels) in enumerate(loader):
    loss = F.cross_entropy(ghost(batch), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step_update(step + 1)
    losses.update(loss.item(), len(labels))

with torch.no_grad():
    batch, labels = next(iter(DataLoader(test, batch_size=len(test))))
    (top1,) = accuracy(ghost.eval()(batch), labels)
print(f"one epoch: loss {losses.avg:.2f}, test accuracy {top1:.1f} %")
