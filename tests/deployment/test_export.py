"""What is written gives what the network gives, or is not there."""

import errno
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError
from ghostify.deployment import EXPORTERS, exporter_for
from ghostify.nn.affine import ChannelAffine
from ghostify.planning import plan_sites

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


class Activated(nn.Module):
    """Two convolutions, with a bias or a batch norm, on feature maps of odd size."""

    def __init__(self, bias):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, bias=bias)
        self.conv = nn.Conv2d(8, 18, 3, padding=1, bias=bias)
        self.norm = nn.BatchNorm2d(18)

    def forward(self, x):
        return self.norm(self.conv(self.stem(x).relu())).relu()


def with_order(ghost):
    """Permute the outputs of every Ghost module."""
    for module in ghost.modules():
        if isinstance(module, ghostify.GhostModule):
            module.order = torch.randperm(module.out_channels)
    return ghost


def ghost_of(model, image, **numbers):
    return with_order(ghostify.convert(model, image, **numbers)).eval()


def session_of(path):
    """What the file computes, by other code than that which verifies."""
    exporter = exporter_for(path)[1]
    if exporter.ending != ".onnx":
        return lambda x: exporter.open(path, 1)([x])[0]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: torch.as_tensor(session.run(None, {name: x.numpy()})[0])


def assert_same(path, model, *images):
    session = session_of(path)
    for image in images:
        torch.testing.assert_close(session(image), model(image), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("ratio", "dw_size", "bias"), [(2, 3, True), (4, 1, False), (1.5, 5, True), (4, 3, False)]
)
def test_ghost_modules(ending, tmp_path, ratio, dw_size, bias):
    image = torch.randn(1, 3, 15, 13)
    ghost = ghost_of(Activated(bias), image, ratio=ratio, dw_size=dw_size)
    exported = ghostify.export(ghost, image, tmp_path / f"ghost{ending}")
    assert exported.inputs == 3
    assert 0 <= exported.max_relative_error < 1e-4
    with torch.no_grad():
        others = [torch.randn(n, 3, 15, 13) for n in ((1, 5) if exported.batch is None else (1,))]
        assert_same(exported.path, ghost, *others)


@pytest.mark.parametrize("ratio", [2, 4])
@pytest.mark.parametrize("dw_size", [1, 3])
def test_the_graph_is_made_of_what_runtimes_know(small_net, image, tmp_path, ratio, dw_size):
    ghost = ghost_of(small_net, image, ratio=ratio, dw_size=dw_size)
    modules = [m for m in ghost.modules() if isinstance(m, ghostify.GhostModule)]
    graph = onnx.load(ghostify.export(ghost, image, tmp_path / "net.onnx").path).graph
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("Gather") == len(modules)
    allowed = {"Conv", "Concat", "Gather", "BatchNormalization", "Relu", "Add",
               "ReduceMean", "Gemm", "Slice"}  # fmt: skip
    assert set(kinds) <= allowed
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param
    depthwise = [node for node in graph.node if node.op_type == "Conv" and _groups(node) > 1]
    assert len(depthwise) == 1 + (0 if dw_size == 1 else len(modules) * (ratio - 1))
    by_channel = [m for m in ghostify.deploy(ghost, image).modules() if type(m) is ChannelAffine]
    assert kinds.count("BatchNormalization") == len(by_channel)
    assert len(by_channel) >= (len(modules) * (ratio - 1) if dw_size == 1 else 0)
    assert "Slice" not in kinds  # s divides all widths: no last block is trimmed


def _groups(node):
    return next((a.i for a in node.attribute if a.name == "group"), 1)


class Convolutional(nn.Module):
    """Ends in a Ghost module whose halves nothing has put together."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 6, 3, padding=1)

    def forward(self, x):
        return self.second(self.first(x).relu())


def test_outputs_are_whole(image, ending, tmp_path):
    sites = ghostify.analyze(Convolutional(), image)
    plan = plan_sites(sites, stem=True)
    ghost = ghostify.convert(Convolutional().eval(), image, plan=plan)
    exported = ghostify.export(ghost, image, tmp_path / f"net{ending}")
    assert_same(exported.path, ghost, image + 1)


def test_a_network_that_was_never_converted(small_net, image, ending, tmp_path):
    small_net.eval()
    exported = ghostify.export(small_net, image, tmp_path / f"net{ending}")
    assert_same(exported.path, small_net, image + 1)


def test_the_model_is_left_as_it_was(small_net, image, tmp_path):
    small_net.train()
    before = {name: value.clone() for name, value in small_net.state_dict().items()}
    generator = torch.get_rng_state()
    ghostify.export(small_net, image, tmp_path / "net.onnx")
    assert all(module.training for module in small_net.modules())
    assert all(p.requires_grad for p in small_net.parameters())
    assert all(torch.equal(before[name], value) for name, value in small_net.state_dict().items())
    assert torch.equal(generator, torch.get_rng_state())


class Nested(nn.Module):
    """Two inputs by name, one of them of whole numbers, and a nested output."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, ids, image):
        maps = self.conv(image)
        words = self.embed(ids)
        return {"maps": [maps, maps.relu()], "both": (words, words.mean(1) + maps.mean((2, 3)))}


def test_nested_outputs_and_named_inputs(ending, tmp_path):
    example = {"ids": torch.tensor([[1, 6, 0]]), "image": torch.randn(1, 3, 9, 7)}
    model = Nested().eval()
    exported = ghostify.export(model, example, tmp_path / f"nested{ending}")
    found = EXPORTERS[exported.to].open(exported.path, 1)(list(example.values()))
    expected = model(**example)
    leaves = [*expected["maps"], *expected["both"]]
    assert len(found) == 4
    for here, there in zip(found, leaves, strict=True):
        torch.testing.assert_close(here, there, rtol=1e-4, atol=1e-5)


class FixedBatch(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x).reshape(2, -1)


def test_a_network_for_one_size_of_batch(tmp_path):
    exported = ghostify.export(FixedBatch(), torch.randn(2, 3, 8, 8), tmp_path / "fixed.onnx")
    assert exported.batch == 2
    assert "the batch size is fixed" in exported.note
    assert "batch 2" in str(exported)
    dims = onnx.load(exported.path).graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in dims] == [2, 3, 8, 8]


class DependsOnValues(nn.Module):
    def forward(self, x):
        return x.sum().item() * x if x.sum() > 0 else x


def test_a_network_that_cannot_be_captured(ending, tmp_path):
    with pytest.raises(GhostifyError, match="DependsOnValues cannot be exported to") as raised:
        ghostify.export(DependsOnValues(), torch.ones(1, 3), tmp_path / f"net{ending}")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300
    assert list(tmp_path.iterdir()) == []


def replaced(monkeypatch, **parts):
    monkeypatch.setitem(EXPORTERS, "onnx", replace(EXPORTERS["onnx"], **parts))


def test_another_result_is_an_error_and_leaves_no_file(small_net, image, tmp_path, monkeypatch):
    right = EXPORTERS["onnx"].open

    def open_wrong(path, threads):
        session = right(path, threads)
        return lambda tensors: [leaf * 1.01 for leaf in session(tensors)]

    replaced(monkeypatch, open=open_wrong)
    with pytest.raises(
        GhostifyError, match=r"SmallNet cannot be exported to onnx: outputs differ by 1"
    ):
        ghostify.export(small_net, image, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_compared_with_the_network_as_given(small_net, image, tmp_path, monkeypatch):
    """Not with the inference form, from which it was written."""

    def wrong(model, example, **_):
        form = ghostify.deploy(model, example)
        form.head.bias += 1
        return form

    monkeypatch.setattr(sys.modules["ghostify.deployment.export"], "deploy", wrong)
    with pytest.raises(GhostifyError, match="cannot be exported to onnx: outputs differ by"):
        ghostify.export(small_net, image, tmp_path / "net.onnx")


def test_a_failed_attempt_leaves_nothing(small_net, image, tmp_path, monkeypatch):
    right = EXPORTERS["onnx"].write

    def failing_at_any_batch(program, path):
        if program.range_constraints:
            path.with_name("net.onnx.data").write_text("weights")
            raise RuntimeError("the size must be fixed")
        right(program, path)

    replaced(monkeypatch, write=failing_at_any_batch)
    exported = ghostify.export(small_net, image, tmp_path / "net.onnx")
    assert exported.note == "the batch size is fixed: the size must be fixed"
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]
    assert exported.size == exported.path.stat().st_size


def test_an_interruption_leaves_what_was_there(small_net, image, tmp_path, monkeypatch):
    def interrupted(program, path):
        path.write_text("half")
        raise KeyboardInterrupt

    replaced(monkeypatch, write=interrupted)
    (tmp_path / "net.onnx").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        ghostify.export(small_net, image, tmp_path / "net.onnx", force=True)
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]
    assert (tmp_path / "net.onnx").read_text() == "old"


@pytest.mark.parametrize("ending", [".onnx", ".pt2"])
def test_a_full_disk_is_named_and_tried_once(small_net, image, tmp_path, monkeypatch, ending):
    tries = []

    def full(*_):
        tries.append(1)
        raise OSError(errno.ENOSPC, "No space left on device", "a temporary file")

    if ending == ".onnx":
        replaced(monkeypatch, write=full)
    else:  # from memory: torch's own file writer aborts the process
        monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=rf"No space left on device: 'net\{ending}'"):
        ghostify.export(small_net, image, tmp_path / f"net{ending}")
    assert len(tries) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.alone  # what aborts this process would abort all tests
@pytest.mark.parametrize("ending", [".onnx", ".xml", ".pt2"])
def test_files_that_cannot_grow(image, tmp_path, ending):
    """As on a disk with few bytes left."""
    resource = pytest.importorskip("resource")
    net = nn.Sequential(nn.Conv2d(3, 64, 3), nn.Conv2d(64, 64, 3))
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    for left in (0, 4096, 100_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (left, most))
        try:
            with pytest.raises((GhostifyError, OSError)):
                ghostify.export(net, image, tmp_path / f"net{ending}", progress=False)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        assert list(tmp_path.iterdir()) == []


def test_a_missing_package(small_net, image, tmp_path, monkeypatch):
    replaced(monkeypatch, needs=("onnx", "not_there"))
    with pytest.raises(GhostifyError, match=r"need not_there: run pip install '.\[export\]'"):
        ghostify.export(small_net, image, tmp_path / "net.onnx")


def test_files_that_are_there(small_net, image, tmp_path):
    (tmp_path / "net.onnx").write_text("old")
    with pytest.raises(GhostifyError, match="exists"):
        ghostify.export(small_net, image, tmp_path / "net.onnx")
    with pytest.raises(GhostifyError, match="there is no folder"):
        ghostify.export(small_net, image, tmp_path / "none" / "net.onnx")


@pytest.mark.parametrize(
    ("file", "to", "message"),
    [
        ("net.pb", None, r"ending '\.pb': known are \.onnx \(onnx\), \.xml"),
        ("net", None, r"ending '\(none\)'"),
        ("net.onnx", "tflite", "unknown export format 'tflite': known are onnx, openvino"),
        ("net.onnx", "openvino", r"openvino needs a file name ending in \.xml"),
    ],
)
def test_unknown_forms(small_net, image, tmp_path, file, to, message):
    with pytest.raises(GhostifyError, match=message):
        ghostify.export(small_net, image, tmp_path / file, to=to)


def test_an_input_that_does_not_fit(small_net, tmp_path):
    with pytest.raises(GhostifyError, match="does not run on an input of 1x4x16x16"):
        ghostify.export(small_net, torch.randn(1, 4, 16, 16), tmp_path / "net.onnx")


def test_nothing_is_printed(small_net, image, ending, tmp_path, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ghostify.export(small_net, image, tmp_path / f"net{ending}")
    assert capfd.readouterr() == ("", "") or ending == ".pte"  # whose C++ speaks for itself


def test_weights_lie_beside_the_graph_of_openvino(small_net, image, tmp_path):
    pytest.importorskip("openvino")
    ghostify.export(small_net, image, tmp_path / "net.xml")
    assert {file.name for file in tmp_path.iterdir()} == {"net.xml", "net.bin"}
    weights = sum(p.numel() for p in small_net.parameters())
    assert (tmp_path / "net.bin").stat().st_size >= 0.9 * 4 * weights  # not halved to float16


def test_the_size_is_that_of_all_files(small_net, image, tmp_path):
    pytest.importorskip("openvino")
    exported = ghostify.export(small_net, image, tmp_path / "net.xml")
    assert exported.size == sum(file.stat().st_size for file in tmp_path.iterdir())


def test_openvino_knows_all_sizes_but_the_batch(small_net, image, tmp_path):
    """With sizes unknown, its CPU plugin has no INT8 kernels for images of one channel."""
    openvino = pytest.importorskip("openvino")
    ghostify.export(small_net, image, tmp_path / "net.xml")
    (taken,) = openvino.Core().read_model(tmp_path / "net.xml").inputs
    sizes = [size.is_dynamic or size.get_length() for size in taken.partial_shape]
    assert sizes == [True, *image.shape[1:]]
