"""Train the network, and save its weights and some images for calibration."""

import torch
from net import build
from torch.nn import functional as F

import ghostify
from ghostify.types import ModelSource

torch.manual_seed(0)
net = build()
data = ghostify.open_data("mnist5k", net, ModelSource("net.py:build", input_size=(1, 28, 28)))
optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
epochs = 4
schedule = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, 1e-2, total_steps=epochs * len(data.train)
)
for epoch in range(epochs):
    ghostify.data.set_epoch(data.train, epoch)
    for images, labels in data.train:
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

torch.save(net.state_dict(), "net.pt")
torch.save(torch.cat([images for images, _ in data.train])[:256].clone(), "images.pt")
