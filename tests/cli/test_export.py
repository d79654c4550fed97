"""``ghostify export``"""

import pytest
import torch

from ghostify.deployment import EXPORTERS

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture
def out(run, net):
    assert run("convert", *net, "--out", "out").code == 0
    return ["out", "--model", "net.py:build", "--input", "3x16x16"]


def test_help_names_the_formats_of_the_registry(run):
    said = run("export", "--help").out
    assert all(name in said for name in EXPORTERS)


def test_an_unknown_format(fails, out):
    assert "unknown export format 'coreml': known are onnx" in fails(
        "export", *out, "--to", "coreml"
    )


def test_an_artifact(run, out, tmp_path):
    result = run("export", *out)
    assert result.code == 0, result.err
    assert result.out.startswith("out.onnx: onnx, any batch; verified on 3 inputs, largest error")
    assert len(result.out.splitlines()) == 1
    session = onnxruntime.InferenceSession(tmp_path / "out.onnx")
    maps = session.run(None, {session.get_inputs()[0].name: torch.ones(3, 3, 16, 16).numpy()})[0]
    assert maps.shape == (3, 32, 14, 14)


def test_a_network_with_its_weights(run, net, tmp_path):
    result = run("export", *net, "--to", "torch-export")
    assert result.code == 0, result.err
    assert (tmp_path / "net.pt2").is_file()


def test_an_input_of_another_size(run, out, tmp_path):
    result = run("export", *out[:-1], "3x17x21", "-o", "odd.onnx")
    assert result.code == 0, result.err
    dims = onnx.load(tmp_path / "odd.onnx").graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in dims][1:] == [3, 17, 21]


def test_a_file_that_is_there(run, fails, out, tmp_path):
    (tmp_path / "out.onnx").write_text("old")
    assert "out.onnx exists: pass --force to replace it" in fails("export", *out)
    assert run("export", *out, "--force").code == 0
    assert (tmp_path / "out.onnx").read_bytes() != b"old"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "out.pb"], "export file ending '.pb': known are .onnx"),
        (["-o", "out.onnx", "--to", "openvino"], "openvino needs a file name ending in .xml"),
        (["-o", "none/out.onnx"], "there is no folder none"),
        (["--weights", "weights.pt"], "out has its weights: drop --weights"),
    ],
)
def test_what_can_be_put_right(fails, out, arguments, message):
    assert message in fails("export", *out, *arguments)


def test_a_model_for_a_network_that_is_no_folder(fails, net):
    assert "--model is for a folder" in fails("export", *net, "--model", "resnet18")


@pytest.fixture
def images(tmp_path):
    torch.save(torch.rand(20, 3, 16, 16), tmp_path / "images.pt")
    return ["--int8", "--calibration", "images.pt"]


def test_int8(run, out, images, tmp_path):
    result = run("export", *out, *images)
    assert result.code == 0, result.err
    said = "out-int8.onnx: onnx INT8, any batch; calibrated on 15 images, verified on 3 others: "
    assert result.out.startswith(said)
    assert "outputs: values" in result.err
    assert (tmp_path / "out-int8.onnx").is_file()


def test_int8_of_a_network(run, net, images, tmp_path):
    pytest.importorskip("nncf")
    result = run("export", *net, "--to", "openvino", *images, "--images", "12")
    assert result.code == 0, result.err
    assert "calibrated on 10 images, verified on 2 others: " in result.out
    assert (tmp_path / "net-int8.bin").is_file()


def test_int8_that_differs(fails, out, images, tmp_path):
    said = fails("export", *out, *images, "--max-divergence", "1e-9")
    assert "by more than --max-divergence (=1e-09): calibrate on more" in said
    assert not (tmp_path / "out-int8.onnx").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--int8"], "INT8 needs images of the kind the network is for: --calibration"),
        (["--calibration", "none"], "are for INT8: pass --int8"),
        (["--int8", "--calibration", "none", "--to", "executorch"], "not executorch"),
    ],
)
def test_arguments_of_int8_are_checked_first(fails, out, arguments, message):
    assert message in fails("export", *out, *arguments)
