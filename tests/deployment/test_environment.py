"""What networks are timed on."""

import platform
from pathlib import Path

import torch

from ghostify.deployment.environment import processor, runtime_version


def test_pytorch_is_the_version_of_eager_and_compile():
    version = torch.__version__.split("+")[0]
    assert runtime_version("eager").split("+")[0] == version
    assert runtime_version("compile") == runtime_version("eager")


def test_int8_is_of_the_same_library(monkeypatch):
    monkeypatch.setattr("ghostify.deployment.environment.version", lambda package: f"{package} 1")
    assert runtime_version("onnxruntime-int8") == runtime_version("onnxruntime") == "onnxruntime 1"


def test_a_runtime_that_is_not_installed_has_no_version():
    assert runtime_version("no-such-runtime") == ""


def test_the_processor_of_linux(monkeypatch):
    text = "processor\t: 0\nmodel name\t: Some CPU 3000\nmodel name\t: Other\n"
    monkeypatch.setattr(Path, "read_text", lambda self, **options: text)
    assert processor() == processor(torch.device("cpu")) == "Some CPU 3000"


def test_the_processor_of_others(monkeypatch):
    def missing(self, **options):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert processor() == "arm"


def test_the_name_of_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    assert processor(torch.device("cuda", 1)) == "GPU 1"
