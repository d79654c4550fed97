"""What the libraries quantize is INT8, and close to the float32 file."""

import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError
from ghostify.deployment import EXPORTERS, quantize
from ghostify.deployment.quantize import QUANTIZERS, quantizer_for

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


class TwoInputs(nn.Module):
    """Two images by name, and two outputs."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 16, 3), nn.Conv2d(3, 16, 3)
        self.both = nn.Conv2d(32, 64, 3)

    def forward(self, left, right):
        maps = torch.cat([self.left(left).relu(), self.right(right).relu()], 1)
        return self.both(maps).mean((2, 3)), maps


class Detector(nn.Module):
    """Boxes in pixels, and a score from 0 to 1 of each, in one output."""

    def __init__(self):
        super().__init__()
        self.boxes, self.scores = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 1, 3)

    def forward(self, image):
        return torch.cat([1000 * self.boxes(image), self.scores(image).sigmoid()], 1)


class Gated(nn.Sequential):
    """Ends with an activation that multiplies by a sigmoid."""

    def __init__(self):
        super().__init__(*(nn.Sequential(nn.Conv2d(3, 3, 3), nn.Hardswish()) for _ in range(4)))


@pytest.fixture(params=QUANTIZERS)
def to(request):
    pytest.importorskip(QUANTIZERS[request.param].package)
    return request.param


def samples(count):
    generator = torch.Generator().manual_seed(0)
    return [[torch.randn(1, 3, 12, 12, generator=generator) for _ in "lr"] for _ in range(count)]


def quantized(folder, to, inputs, network=TwoInputs):
    torch.manual_seed(0)
    model, exporter = network().eval(), EXPORTERS[to]
    source, target = (folder / f"{name}{exporter.ending}" for name in ("float", "int8"))
    ghostify.export(model, tuple(inputs[0]), source, force=True)
    QUANTIZERS[to].write(source, target, inputs)
    return model, exporter.open(source, 1), exporter.open(target, 1)


def test_scores_are_not_rounded_to_the_scale_of_boxes(tmp_path, to):
    inputs = [images[:1] for images in samples(12)]
    model, _, session = quantized(tmp_path, to, inputs[:8], Detector)
    for (image,) in inputs[8:]:
        (found,) = session([image])
        torch.testing.assert_close(found[:, 4], model(image)[:, 4], atol=0.03, rtol=0)


def test_gates_are_no_scores(tmp_path):
    onnx = pytest.importorskip("onnx")
    quantized(tmp_path, "onnx", [images[:1] for images in samples(2)], Gated)
    graph = onnx.load(tmp_path / "int8.onnx").graph
    scaled = {node.input[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    gates = [node for node in graph.node if node.op_type == "Mul"]
    assert len(gates) == 4
    assert {name for node in gates for name in node.output} <= scaled


def test_outputs_are_close_and_weights_take_a_byte(tmp_path, to):
    inputs = samples(12)
    model, _, session = quantized(tmp_path, to, inputs[:8])
    for tensors in inputs[8:]:
        for found, expected in zip(session(tensors), model(*tensors), strict=True):
            error = (found - expected).square().sum() / expected.square().sum()
            assert 1e-8 < error < 1e-2
    ending = {"onnx": ".onnx", "openvino": ".bin"}[to]
    before, after = ((tmp_path / f"{name}{ending}").stat().st_size for name in ("float", "int8"))
    assert after < 0.6 * before


def test_ranges_are_those_of_all_inputs(tmp_path, to):
    small = samples(6)
    large = [[10 * tensor for tensor in tensors] for tensors in small[:1]]
    model, _, session = quantized(tmp_path, to, small[1:] + large)
    found, expected = session(large[0])[0], model(*large[0])[0]
    assert (found - expected).abs().max() < 0.1 * expected.abs().max()


def test_what_is_concatenated_has_one_scale(tmp_path):
    onnx = pytest.importorskip("onnx")
    quantized(tmp_path, "onnx", samples(2))
    graph = onnx.load(tmp_path / "int8.onnx").graph
    makers = {name: node for node in graph.node for name in node.output}
    (concat,) = (node for node in graph.node if node.op_type == "Concat")
    (after,) = (node for node in graph.node if concat.output[0] in node.input)
    scales = {makers[name].input[1] for name in concat.input} | {after.input[1]}
    assert after.op_type == "QuantizeLinear"
    assert len(scales) == 1


def test_each_channel_uses_all_bits_or_seven_where_products_saturate(tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    monkeypatch.setattr(quantize, "machine", lambda: "x86_64")
    for vnni, largest in ((True, 127), (False, 64)):
        monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda vnni=vnni: vnni)
        quantized(tmp_path, "onnx", samples(2))
        tensors = onnx.load(tmp_path / "int8.onnx").graph.initializer
        weights = [t for t in tensors if t.data_type == onnx.TensorProto.INT8 and len(t.dims) == 4]
        assert len(weights) == 3
        for weight in weights:
            channels = abs(onnx.numpy_helper.to_array(weight).astype(int)).max(axis=(1, 2, 3))
            assert set(channels) == {largest}


def test_a_format_without_int8():
    with pytest.raises(GhostifyError, match="`int8` is for onnx and openvino, not torch-export"):
        quantizer_for("torch-export")


def test_a_missing_package(monkeypatch):
    monkeypatch.setattr(quantize, "find_spec", lambda _: None)
    with pytest.raises(GhostifyError, match=r"needs nncf: run pip install '.\[int8\]'"):
        quantizer_for("openvino").check_installed()
