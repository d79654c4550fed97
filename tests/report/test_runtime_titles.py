"""Names of runtimes."""

from ghostify.deployment import RUNTIMES
from ghostify.report.runtime_titles import runtime_title


def test_int8_is_said():
    assert runtime_title("onnxruntime") == "ONNX Runtime"
    assert runtime_title("openvino-int8") == "OpenVINO INT8"


def test_every_runtime_has_a_title():
    assert all(runtime_title(name) != name for name in RUNTIMES)


def test_an_unknown_runtime_keeps_its_name():
    assert runtime_title("ncnn") == "ncnn"
