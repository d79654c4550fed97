"""Sessions of the exporters."""

import logging
import subprocess
import sys
import warnings
from dataclasses import replace

import pytest
import torch

import ghostify
from ghostify import GhostifyError
from ghostify.deployment import EXPORTERS, exporter_for
from ghostify.deployment.exporters import openvino_core, quiet

openvino = pytest.importorskip("openvino")
onnxruntime = pytest.importorskip("onnxruntime")

SESSIONS_THEN_A_SIGNAL = """
import signal, sys
import torch, ghostify
from ghostify.deployment import EXPORTERS

ghostify.export(torch.nn.Conv2d(3, 4, 1), torch.ones(1, 3, 2, 2), sys.argv[1])
first, second = (EXPORTERS["openvino"].open(sys.argv[1], 1) for _ in range(2))
del first
del second
signal.signal(signal.SIGINT, lambda *_: print("heard"))
signal.raise_signal(signal.SIGINT)
"""


def test_signals_are_heard_when_sessions_have_gone(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SESSIONS_THEN_A_SIGNAL, str(tmp_path / "net.xml")],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


class SeenError(Exception):
    """What a runtime was given."""


@pytest.mark.parametrize("threads", [1, 3])
def test_onnxruntime_has_as_many_threads_as_asked(threads, monkeypatch):
    def session(path, options, **_):
        spinning = options.get_session_config_entry("session.force_spinning_stop")
        raise SeenError(options.intra_op_num_threads, spinning)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    with pytest.raises(SeenError) as seen:
        EXPORTERS["onnx"].open("net.onnx", threads)
    assert seen.value.args == (threads, "1")


@pytest.mark.parametrize("threads", [1, 3])
def test_openvino_has_as_many_threads_as_asked_and_float32(threads, monkeypatch):
    class Core:
        def compile_model(self, path, device, config):
            raise SeenError(device, config)

    monkeypatch.setattr("ghostify.deployment.exporters.openvino_core", Core)
    with pytest.raises(SeenError) as seen:
        EXPORTERS["openvino"].open("net.xml", threads)
    device, config = seen.value.args
    assert device == "CPU"
    assert config["INFERENCE_NUM_THREADS"] == threads
    assert config["INFERENCE_PRECISION_HINT"] == "f32"
    assert config["PERFORMANCE_HINT"] == "LATENCY"


@pytest.mark.parametrize("threads", [1, 3])
def test_executorch_has_as_many_threads_as_asked(threads, monkeypatch):
    pytest.importorskip("executorch")
    from executorch.extension.pybindings import portable_lib

    def reset(number):
        raise SeenError(number)

    monkeypatch.setattr(portable_lib, "_unsafe_reset_threadpool", reset)
    with pytest.raises(SeenError, match=str(threads)):
        EXPORTERS["executorch"].open("net.pte", threads)


def test_there_is_one_core():
    assert openvino_core() is openvino_core()


def test_a_session_keeps_nothing_for_backward(tmp_path):
    path = ghostify.export(
        torch.nn.Conv2d(3, 4, 1), torch.ones(1, 3, 2, 2), tmp_path / "a.pt2"
    ).path
    (found,) = EXPORTERS["torch-export"].open(path, 1)([torch.ones(1, 3, 2, 2)])
    assert not found.requires_grad


def test_code_is_silent_within_quiet(capsys, caplog, recwarn):
    def speak():
        print("printed")
        print("printed", file=sys.stderr)
        logging.getLogger("loud").critical("logged")
        warnings.warn("warned", stacklevel=1)

    with quiet():
        speak()
    assert (capsys.readouterr(), caplog.text, len(recwarn)) == (("", ""), "", 0)
    speak()
    assert capsys.readouterr().out == "printed\n"
    assert "logged" in caplog.text
    assert len(recwarn) == 1


@pytest.mark.parametrize(
    ("path", "to", "name"),
    [
        ("a/net.onnx", None, "onnx"),
        ("net.xml", None, "openvino"),
        ("net.pt2", None, "torch-export"),
        ("net.pte", "executorch", "executorch"),
    ],
)
def test_formats_by_ending(path, to, name):
    assert exporter_for(path, to) == (name, EXPORTERS[name])


def test_what_is_not_installed_is_named():
    exporter = replace(EXPORTERS["onnx"], needs=("torch", "not_there"), extra="more")
    with pytest.raises(GhostifyError, match=r"\.onnx files need not_there: .*\[more\]"):
        exporter.check_installed()
