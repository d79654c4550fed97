"""Converted and deployed networks, read by tracers, exporters, quantizers and mobile runtimes."""

import copy
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.ao.quantization import get_default_qat_qconfig_mapping, get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx, prepare_qat_fx

import ghostify
from ghostify import GhostModule, models

IMAGES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
pytestmark = pytest.mark.filterwarnings("ignore")  # torch.jit and torch.ao are deprecated


def block(inputs, outputs):
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


@cache
def trained():
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)
    net = nn.Sequential(block(3, 16), block(16, 16), block(16, 16), *head)
    net(IMAGES)
    return net.eval()


@cache
def converted(ratio, dw_size):
    """With an order in every Ghost module. At s = 3 the blocks have 6 and 4 ghosts."""
    ghost = ghostify.convert(trained(), IMAGES, ratio=ratio, dw_size=dw_size, init="random").eval()
    for module in ghost.modules():
        if isinstance(module, GhostModule):
            module.order = torch.randperm(module.out_channels)
    return ghost


@cache
def deployed(ratio, dw_size):
    return ghostify.deploy(converted(ratio, dw_size), IMAGES)


FORMS = {"converted": converted, "deployed": deployed}
KINDS = [(2, 3), (3, 5), (3, 1)]
READERS = {
    "torch.jit.trace": lambda net, x: torch.jit.trace(net, x[:1]),
    "torch.jit.script": lambda net, x: torch.jit.script(net),
    "torch.jit.freeze": lambda net, x: torch.jit.freeze(torch.jit.script(net)),
    "torch.fx": lambda net, x: torch.fx.symbolic_trace(net),
    "torch.export": lambda net, x: torch.export.export(net, (x,)).module(),
}


@pytest.mark.parametrize(("ratio", "dw_size"), KINDS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_read_computes_the_same(reader, form, ratio, dw_size):
    net = FORMS[form](ratio, dw_size)
    found = READERS[reader](copy.deepcopy(net), IMAGES)(IMAGES)
    torch.testing.assert_close(found, net(IMAGES), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["ghostnetv2", "ghostnetv3"])
@pytest.mark.parametrize("reader", ["torch.jit.trace", "torch.jit.script", "torch.fx"])
def test_ghostnets_for_inference(reader, name):
    images = torch.randn(1, 3, 64, 64)
    net = ghostify.reparameterize(getattr(models, name)(0.5, num_classes=5)).eval()
    with torch.no_grad():
        torch.testing.assert_close(READERS[reader](net, images)(images), net(images))


@pytest.mark.parametrize("aware", [False, True], ids=["after training", "quantization-aware"])
@pytest.mark.parametrize(("ratio", "dw_size"), KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_fx_quantization(form, ratio, dw_size, aware):
    """Every Ghost module has INT8 convolutions: its primary one, and the cheap ones if d > 1."""
    net = FORMS[form](ratio, dw_size)
    if aware:
        settings = get_default_qat_qconfig_mapping("x86")
        prepared = prepare_qat_fx(copy.deepcopy(net).train(), settings, (IMAGES,)).eval()
    else:
        settings = get_default_qconfig_mapping("x86")
        prepared = prepare_fx(copy.deepcopy(net), settings, (IMAGES,))
    prepared(IMAGES)
    quantized = convert_fx(prepared)
    found, expected = quantized(IMAGES), net(IMAGES)
    assert float((found - expected).norm() / expected.norm()) < 0.05
    calls = [node for node in quantized.graph.nodes if "conv2d" in str(node.target)]
    layers = [m for m in quantized.modules() if isinstance(m, torch.ao.nn.quantized.Conv2d)]
    cheap = 0 if dw_size == 1 else 2 * (ratio - 1)
    assert (len(calls), len(layers)) == ((cheap, 3) if form == "converted" else (0, 3 + cheap))


@pytest.mark.parametrize("form", FORMS)
def test_onnx_by_torchscript(form, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    net, path = FORMS[form](3, 1), tmp_path / "net.onnx"
    torch.onnx.export(copy.deepcopy(net), (IMAGES,), path, dynamo=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: IMAGES.numpy()})
    torch.testing.assert_close(torch.as_tensor(found), net(IMAGES).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("ratio", "dw_size"), KINDS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("route", ["torch.jit.trace", "torch.export"])
def test_core_ml(route, form, ratio, dw_size):
    """Converted alone: only macOS runs it."""
    coremltools = pytest.importorskip("coremltools")
    net = copy.deepcopy(FORMS[form](ratio, dw_size))
    if route == "torch.jit.trace":
        source = torch.jit.trace(net, IMAGES)
        inputs = [coremltools.TensorType(shape=IMAGES.shape)]
    else:
        source, inputs = torch.export.export(net, (IMAGES,)).run_decompositions({}), None
    model = coremltools.convert(source, inputs=inputs, convert_to="mlprogram")
    assert model.get_spec().mlProgram.functions


NCNN = """
import numpy, ncnn

net = ncnn.Net()
for name in ("arithmetic", "storage", "packed"):
    setattr(net.opt, f"use_fp16_{name}", False)
assert net.load_param("net.ncnn.param") == 0
assert net.load_model("net.ncnn.bin") == 0
run = net.create_extractor()
image = numpy.load("image.npy")  # which Mat does not copy
run.input("in0", ncnn.Mat(image))
failed, output = run.extract("out0")
assert not failed
numpy.save("output.npy", numpy.array(output))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("ratio", "dw_size"), KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_ncnn(form, ratio, dw_size, tmp_path):
    pytest.importorskip("ncnn")
    pnnx = Path(pytest.importorskip("pnnx").__file__).with_name("pnnx")
    net = FORMS[form](ratio, dw_size)
    torch.jit.trace(copy.deepcopy(net), IMAGES[:1]).save(tmp_path / "net.pt")
    np.save(tmp_path / "image.npy", IMAGES[0].numpy())
    for command in (
        [pnnx, "net.pt", "inputshape=[1,3,16,16]", "fp16=0"],
        [sys.executable, "-c", NCNN],
    ):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    found = torch.as_tensor(np.load(tmp_path / "output.npy"))
    torch.testing.assert_close(found, net(IMAGES)[0].detach(), rtol=1e-3, atol=1e-4)
