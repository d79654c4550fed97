"""Convert torchvision's ResNet-50, print the report, save the result and load it."""

import tempfile

import torch
from torchvision.models import resnet50

import ghostify

model = resnet50().eval()
example = torch.zeros(1, 3, 224, 224)

ghost = ghostify.convert(model, example, ratio=2, dw_size=3)
report = ghostify.compare(model, ghost, example)
print(report)

with tempfile.TemporaryDirectory() as folder:
    artifact = ghostify.save(ghost, f"{folder}/resnet50-ghost")
    loaded = ghostify.load(artifact, resnet50().eval())

with torch.no_grad():
    assert torch.equal(loaded(example), ghost(example))
