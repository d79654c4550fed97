"""Graphs compute the same once prepared, and runtimes run them in INT8."""

from collections import Counter

import pytest
import torch
from torch import nn

import ghostify
from ghostify.deployment.export import Deployed
from ghostify.deployment.exporters import EXPORTERS
from ghostify.deployment.prepare_int8 import prepare_int8
from ghostify.deployment.quantize import QUANTIZERS

aten = torch.ops.aten


def norm(**options):
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4, **options)
    for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
        if tensor is not None:
            nn.init.uniform_(tensor, 0.5, 2)
    return norm


def prepared(net):
    net, x = net.eval(), torch.randn(2, 4, 5, 5)
    expected = net(x)
    program = torch.export.export(net, (x,), strict=False)
    prepare_int8(program)
    torch.testing.assert_close(program.module()(x), expected)
    return Counter(node.target for node in program.graph.nodes)


@pytest.mark.parametrize("options", [{}, {"affine": False}, {"eps": 0.1}])
def test_a_batchnorm_becomes_a_depthwise_convolution(options):
    found = prepared(norm(**options))
    assert found[aten.conv2d.default] == 1
    assert not found[aten.batch_norm.default]


def test_a_batchnorm_of_vectors_stays():
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(4))
    assert prepared(net)[aten.batch_norm.default] == 1


@pytest.fixture(scope="module")
def ghosts():
    """Ghost modules with halves, slices, several blocks, activations and a residual sum."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), norm_of(32), nn.ReLU())
            self.second = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), norm_of(32))

        def forward(self, x):
            return torch.relu(x + self.second(self.first(x)))

    def norm_of(channels):
        return nn.BatchNorm2d(channels)

    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU())
    net = nn.Sequential(stem, Block(), Block(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        for _ in range(20):
            net(torch.randn(8, 3, 32, 32))
    return {s: ghostify.convert(net.eval(), image, ratio=s) for s in (1.5, 2, 4)}, image


def quantized(folder, to, ghosts, ratio):
    models, image = ghosts
    source, target = (folder / f"{name}{EXPORTERS[to].ending}" for name in ("float", "int8"))
    Deployed(models[ratio], image, int8=True).write(source, EXPORTERS[to], any_batch=False)
    QUANTIZERS[to].write(source, target, [[image]])
    return target


@pytest.mark.parametrize("ratio", [1.5, 2, 4])
def test_onnxruntime_runs_no_layer_in_float32(tmp_path, ghosts, ratio):
    onnx, runtime = map(pytest.importorskip, ("onnx", "onnxruntime"))
    pytest.importorskip("onnxscript")
    target, optimized = quantized(tmp_path, "onnx", ghosts, ratio), tmp_path / "optimized.onnx"
    options = runtime.SessionOptions()
    options.optimized_model_filepath = str(optimized)
    options.log_severity_level = 3
    runtime.InferenceSession(target, options, providers=["CPUExecutionProvider"])
    found = Counter(node.op_type for node in onnx.load(optimized).graph.node)
    assert found["QLinearConv"] >= 13
    assert found["QLinearAdd"]
    assert not {"Conv", "Add", "BatchNormalization", "Concat", "Relu", "FusedConv"} & found.keys()


@pytest.mark.parametrize("ratio", [1.5, 2, 4])
def test_openvino_runs_no_layer_in_float32(tmp_path, ghosts, ratio):
    openvino = pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    compiled = openvino.Core().compile_model(quantized(tmp_path, "openvino", ghosts, ratio), "CPU")
    layers = [
        {key: node.get_rt_info()[key].astype(str) for key in ("layerType", "runtimePrecision")}
        for node in compiled.get_runtime_model().get_ordered_ops()
    ]
    found = {
        (layer["layerType"], layer["runtimePrecision"])
        for layer in layers
        if layer["runtimePrecision"] in ("f32", "bf16")
    }
    kinds = {kind for kind, _ in found}
    assert any(layer["layerType"] == "Convolution" for layer in layers)
    assert not kinds & {"Convolution", "Split", "StridedSlice", "Concatenation", "Eltwise"}, kinds
