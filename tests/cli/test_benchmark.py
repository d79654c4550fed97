"""``ghostify benchmark``"""

import json

import pytest

from ghostify.report.timing import Timing

QUICK = ["--seconds", "0"]


@pytest.fixture
def out(run, net):
    assert run("convert", *net, "--out", "out").code == 0
    return ["out", "--model", "net.py:build", "--input", "3x16x16"]


def test_an_artifact_beside_its_original(run, out, tmp_path):
    pytest.importorskip("matplotlib")
    result = run("benchmark", *out, *QUICK, "--batch", "1,2", "--threads", "1",
                 "-o", "times.json", "--plot", "bars.png")  # fmt: skip
    assert result.code == 0, result.err
    assert len(result.err.splitlines()) == 1  # the next step
    assert "net.py:build and out, input 1x3x16x16" in result.out
    assert "eager, batch 2: 5 rounds" in result.out
    assert max(len(line) for line in result.out.partition("ms: ")[0].splitlines()) <= 80
    timing = Timing.from_json((tmp_path / "times.json").read_text(encoding="utf-8"))
    assert list(timing.macs) == ["net.py:build", "out"]
    assert [(m.model, m.batch) for m in timing.measurements] == [
        ("net.py:build", 1), ("out", 1), ("net.py:build", 2), ("out", 2)
    ]  # fmt: skip
    assert (tmp_path / "bars.png").is_file()


def test_in_the_runtimes_for_files(run, out):
    for package in ("onnxruntime", "onnxscript", "openvino"):
        pytest.importorskip(package)
    result = run("benchmark", *out, *QUICK, "--runtime", "onnxruntime, openvino",
                 "--format", "json")  # fmt: skip
    assert result.code == 0, result.err
    runtimes = [m["runtime"] for m in json.loads(result.out)["measurements"]]
    assert runtimes == ["onnxruntime"] * 2 + ["openvino"] * 2


def test_one_network_alone(run, net):
    result = run("benchmark", *net, *QUICK)
    assert result.code == 0, result.err
    assert "speed-up" not in result.out


def test_on_a_device(run, fails, net, out):
    result = run("benchmark", *out, *QUICK, "--device", "cpu:0")
    assert result.code == 0, result.err
    assert "not available" in fails("benchmark", *net, "--device", "nowhere")


def test_against_another(run, out):
    result = run("benchmark", *out, *QUICK, "--against", "resnet18")
    assert result.code == 0, result.err
    assert "resnet18 and out, input 1x3x16x16" in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--runtime", "tensorrt"], "unknown runtime 'tensorrt': known are eager, compile"),
        (["--batch", "one"], "--batch 'one': numbers look like 1,8"),
        (["--threads", "0"], "threads (=[0]) must be numbers from 1"),
        (["--against", "out"], "out stands on both sides"),
        (["-o", "none/times.json"], "there is no folder none"),
        (["-o", "times.pdf"], "must be one of .txt, .json, .csv, .md"),
        (["--plot", "bars.doc"], "cannot plot to bars.doc"),
    ],
)
def test_what_can_be_put_right(fails, out, arguments, message):
    assert message in fails("benchmark", *out, *arguments)
