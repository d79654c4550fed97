import json
import subprocess
import sys

import pytest

import ghostify
from ghostify import Plan


def test_inspect(run, net):
    result = run("analyze", *net)
    assert result.code == 0
    assert "Convolutions: 4, of which replaceable: 3, prunable: 2" in result.out
    assert "Not prunable: 2" in result.out
    assert "an output of the network  5" in result.out
    assert "3x3, 8→16" in result.out
    assert "depthwise" in result.out
    assert max(map(len, result.out.splitlines())) <= 80


def test_why_layers_keep_their_channels(run, net):
    sites = json.loads(run("analyze", *net, "--format", "json").out)["convolutions"]
    assert [site["unprunable"] for site in sites] == [
        None, None, "depthwise", "an output of the network"
    ]  # fmt: skip
    assert sites[1]["region"]["readers"] == {"5": 1}


def test_a_width_in_a_plan(run, net, tmp_path):
    plan = json.loads(run("plan", *net, "--ratio", "2").out)
    plan["layers"]["2"] |= {"width": 10, "channels": "0-9"}
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    result = run("convert", *net, "--plan", "plan.json", "-o", "out")
    assert result.code == 0, result.err
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert lines[0].endswith("s=2, d=3, 2 layers pruned")
    assert any(line.startswith("2 3x3, 8→16 8→5+5 16x16 2, 3") for line in lines)
    assert any(line.startswith("4 3x3, 16→16, g=16 10→10 14x14") for line in lines)
    assert run("compare", "out", "--model", net[0]).out == result.out


@pytest.mark.parametrize(("form", "start"), [("json", "{"), ("csv", "layer,"), ("markdown", "##")])
def test_inspect_for_programs(run, net, form, start):
    assert run("analyze", *net, "--format", form).out.startswith(start)


def test_plan_on_stdout(run, net):
    result = run("plan", *net, "--ratio", "3")
    plan = Plan.from_json(result.out)
    assert {spec.ratio for spec in plan.replaced.values()} == {3}
    assert result.err.startswith("net.py:build: 2 of 4 convolutions to be replaced\n")


def test_plan_to_a_file(run, net, tmp_path):
    result = run("plan", *net, "--stem", "-o", "plan.json")
    assert result.out.startswith("net.py:build: 3 of 4 convolutions to be replaced\n")
    assert len(json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))["layers"]) == 4


def test_models(run):
    names = run("models").out.split()
    assert {"resnet50", "vgg16", "densenet121"} <= set(names)


def test_models_by_part_or_glob(run):
    assert run("models", "resnet5*").out.split() == ["resnet50"]
    assert "wide_resnet50_2" in run("models", "resnet50").out.split()
    result = run("models", "resnet5000")
    assert (result.code, "no model matches" in result.err) == (1, True)


def test_version(run):
    assert run("--version").out.strip() == ghostify.__version__


@pytest.mark.parametrize("command", [[], ["convert"], ["analyze"], ["plan"], ["models"]])
def test_help(run, command):
    result = run(*command, "--help")
    assert result.code == 0
    assert "Usage: " in result.out


def test_help_names_the_defaults(run):
    text = " ".join(run("convert", "--help").out.split())
    assert "[default: 2" in text
    assert "[default: 3" in text


def test_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "ghostify", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ghostify.__version__


LAZY = """
from torch import nn

def build():
    return nn.Sequential(
        nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.LazyConv2d(8, 3), nn.Flatten(),
        nn.LazyLinear(2),
    )
"""


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_lazy_modules_make_artifacts_that_every_command_reads(run, net, tmp_path):
    (tmp_path / "net.py").write_text(LAZY)
    assert run("convert", *net, "-o", "out").code == 0
    for command in ("compare", "sensitivity"):
        assert run(command, "out", "--model", "net.py:build").code == 0
