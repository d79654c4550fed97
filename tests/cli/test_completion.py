"""The shell completes names, fast."""

import json
import os
import subprocess
import sys

import pytest

from ghostify import models
from ghostify.cli import completion
from ghostify.conversion.initialize import INITIALIZERS
from ghostify.data.sources import SOURCES
from ghostify.deployment import EXPORTERS
from ghostify.deployment.runtimes import RUNTIMES


@pytest.fixture
def complete(run, monkeypatch, tmp_path):
    """What bash offers for the last word of a line."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def offered(line):
        words = f"ghostify {line}".split(" ")
        monkeypatch.setenv("_GHOSTIFY_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", " ".join(words))
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        found = run().out.split()
        monkeypatch.delenv("_GHOSTIFY_COMPLETE")
        return found

    return offered


def test_fixed_names_are_those_of_the_registries():
    assert tuple(RUNTIMES) == completion.RUNTIMES
    assert tuple(EXPORTERS) == completion.FORMATS
    assert tuple(INITIALIZERS) == completion.INITIALIZERS
    assert tuple(SOURCES) == completion.DATA_SETS


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("recal", ["recalibrate"]),
        ("convert net.py:build --runtime op", ["openvino", "openvino-int8"]),
        ("benchmark out --runtime eager,op", ["eager,openvino", "eager,openvino-int8"]),
        ("benchmark out --runtime executorch,ex", []),
        ("export out --to t", ["torch-export"]),
        ("convert resnet50 --init c", ["calibrated"]),
        ("evaluate out --data cifar", ["cifar10", "cifar100"]),
        ("recover out --data digits --optimizer m", ["muon"]),
        ("convert resnet50 --calibration pict", []),  # the shell completes files
        ("convert net", []),
    ],
)
def test_names(complete, line, offered):
    assert complete(line) == offered


def test_models(complete, monkeypatch):
    found = complete("convert wide_resnet")
    assert found == ["wide_resnet101_2", "wide_resnet50_2"]
    monkeypatch.setattr(models, "names", pytest.fail)  # the file knows them
    assert complete("benchmark wide_resnet") == found


@pytest.mark.parametrize("text", ["{", "[]", '{"versions": {}, "names": ["wide_resnet1"]}'])
def test_names_that_are_out_of_date(complete, tmp_path, text):
    file = tmp_path / "cache" / "ghostify" / "models.json"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert complete("convert wide_resnet5") == ["wide_resnet50_2"]


@pytest.mark.parametrize("names", [3, {"wide_resnet1": 1}, [["wide_resnet1"]]])
def test_a_damaged_list_of_names_is_made_anew(complete, tmp_path, names):
    complete("convert wide_resnet5")
    file = tmp_path / "cache" / "ghostify" / "models.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"names": names}))
    assert complete("convert wide_resnet5") == ["wide_resnet50_2"]


def test_artifacts(complete, run, net, tmp_path):
    run("convert", *net, "--out", "net-ghost")
    (tmp_path / "net-other").mkdir()
    assert complete("recover net-") == ["net-ghost"]
    assert complete("export net-") == ["net-ghost"]


def test_files_beside_data_sets(complete, tmp_path):
    (tmp_path / "digits-of-mine").mkdir()
    assert complete("evaluate out --data dig") == ["digits", "digits-of-mine"]


def test_fixed_names_take_no_torch():
    code = (
        "import sys\nfrom ghostify.cli.app import app\n"
        "try: app(prog_name='ghostify')\nexcept SystemExit: pass\n"
        "assert not {'torch', 'torchvision', 'numpy'} & set(sys.modules)"
    )
    line = "ghostify evaluate out --data cifar"
    environment = {"_GHOSTIFY_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": "4"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.split()) == (0, ["cifar10", "cifar100"]), done.stderr


def test_completion_can_be_installed(run):
    assert "--install-completion" in run("--help").out
