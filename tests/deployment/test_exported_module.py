"""An exported file in place of its network."""

import pytest
import torch
from torch import nn

from ghostify import export
from ghostify.deployment.exported_module import ExportedModule


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, image, scale):
        found = self.conv(image)
        return {"scaled": found * scale, "maps": (found,)}


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_it_takes_and_returns_what_the_network_does(tmp_path, to):
    pytest.importorskip({"onnx": "onnxruntime", "openvino": "openvino"}[to])
    torch.manual_seed(0)
    network, example = Pair().eval(), (torch.randn(1, 3, 8, 8), torch.randn(1, 1, 1, 1))
    ending = {"onnx": ".onnx", "openvino": ".xml"}[to]
    module = ExportedModule(export(network, example, tmp_path / f"net{ending}"), network, example)
    inputs = torch.randn(5, 3, 8, 8), torch.randn(5, 1, 1, 1)
    expected, found = network(*inputs), module(*inputs)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
