"""Every command ends with the next one, which can be pasted."""

import json
import runpy
import shlex
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
import torch
import torchvision
import typer

from ghostify.cli import next_step
from ghostify.cli.app import app
from ghostify.cli.options import DataOptions, OriginalOptions, SiteOptions
from ghostify.io.recipe import read_recipe
from ghostify.types import Recovery, RecoverySettings, Score

COMMANDS = typer.main.get_command(app).commands


def suggested(result):
    """The purpose and the words of the last line on stderr."""
    assert result.code == 0, result.err
    purpose, _, words = result.err.strip().splitlines()[-1].partition(": ghostify ")
    name, *arguments = shlex.split(words)
    COMMANDS[name].make_context(name, list(arguments))  # an unknown option raises
    return purpose, [name, *arguments]


def filled(words, **values):
    return [values.get(word, word) for word in words]


@pytest.fixture
def trained(run, net):
    """The small network with weights that are not those of an initialization."""
    build = runpy.run_path("net.py")["build"]
    torch.save({name: 1.7 * tensor for name, tensor in build().state_dict().items()}, "trained.pt")
    return [*net, "--weights", "trained.pt"]


@pytest.fixture
def dense(run, tmp_path):
    """A trained network without depthwise convolutions."""
    (tmp_path / "dense.py").write_text(
        "import torch\nfrom torch import nn\n\n"
        "def build():\n"
        "    torch.manual_seed(0)\n"
        "    net = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3))\n"
        "    for parameter in net.parameters():\n"
        "        parameter.data *= 1.7\n"
        "    return net\n"
    )
    return ["dense.py:build", "--input", "3x16x16"]


def test_random_weights(run, tmp_path):
    (tmp_path / "norm.py").write_text(
        "from torch import nn\n\n"
        "def build():\n"
        "    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 16, 3))\n"
    )
    net = runpy.run_path("norm.py")["build"]()
    net[1].running_mean += 1
    torch.save(net.state_dict(), "norm.pt")
    given = ["convert", "norm.py:build", "--input", "3x16x16", "--out", "o u t"]
    purpose, words = suggested(run(*given))
    assert purpose.startswith("norm.py:build has random weights, so nothing was kept")
    assert words == [*given, "--weights", "FILE", "--force"]
    assert run(*filled(words, FILE="norm.pt")).code == 0


def test_random_weights_in_a_file_are_not_suggested_again(run, tmp_path):
    torch.save(runpy.run_path("net.py")["build"]().state_dict(), "random.pt")
    given = ["convert", "net.py:build", "--input", "3x16x16"]
    _, words = suggested(run(*given, "--weights", "random.pt"))
    assert words == [*given, "--weights", "FILE", "--force"]
    given = ["convert", "resnet18", "--input", "3x32x32"]
    torch.save(torchvision.models.resnet18().state_dict(), "resnet.pt")
    _, words = suggested(run(*given, "--weights", "resnet.pt"))
    assert words == [*given, "--pretrained", "--force"]


def test_depthwise_convolutions(run, trained):
    purpose, words = suggested(run("convert", *trained, "--out", "o u t"))
    assert purpose.startswith("Networks of depthwise convolutions often get slower")
    assert words[:2] == ["benchmark", "o u t"]
    assert words[-2:] == ["--model", "net.py:build"]
    suggested(run(*words, "--seconds", "0"))


def test_depthwise_convolutions_of_a_pruned_network(run, trained, tmp_path):
    plan = json.loads(run("plan", *trained, "--ratio", "2").out)
    plan["layers"]["2"] |= {"width": 10, "channels": "0-9"}
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    purpose, _ = suggested(run("convert", *trained, "--plan", "plan.json", "-o", "out"))
    assert purpose.startswith("To keep far more accuracy")


@pytest.mark.parametrize(
    ("name", "option"), [("squeezenet1_1", ["--pretrained"]), ("ghostify:ghostnet", ["FILE"])]
)
def test_weights_that_can_be_had(run, name, option):
    _, words = suggested(run("convert", name, "--input", "3x64x64", "-o", "out"))
    assert words[-len(option) - 1 : -1] == option


def test_from_calibration_to_training(run, dense, pictures):
    purpose, words = suggested(run("convert", *dense, "-o", "out"))
    assert purpose.startswith("To keep far more accuracy")
    purpose, words = suggested(run(*filled(words, IMAGES=pictures)))
    assert purpose == "To see how much was kept"
    assert words == ["evaluate", "out", "--data", pictures, "--model", "dense.py:build"]
    purpose, words = suggested(run(*words))
    assert purpose == "To recover accuracy by training"
    assert words == ["recover", "out", "--data", pictures, "--model", "dense.py:build"]


def test_a_plan(run, trained, pictures):
    _, words = suggested(run("plan", *trained, "-o", "plan.json"))
    assert words == ["convert", *sorted_model(trained), "--plan", "plan.json"]
    assert run(*words).code == 0


def sorted_model(words):
    """MODEL and its options in the order in which they are written."""
    name, size, weights = words[0], words[1:3], words[3:]
    return [name, *weights, *size]


def test_a_search(run, trained, tensor):
    found = run("search", *trained, "--budget", "macs=0.8", "--calibration", tensor, "-o", "p.json")
    _, words = suggested(found)
    assert words[-4:] == ["--calibration", tensor, "--plan", "p.json"]
    assert run(*words).code == 0


def test_a_sensitivity(run, trained):
    purpose, words = suggested(run("sensitivity", *trained, "-o", "s.json"))
    assert purpose == "Saved to s.json. To plan by it"
    assert run(*filled(words, **{"macs=0.5": "macs=0.9"})).code == 0


def test_a_network_that_was_evaluated(run, pictures, tmp_path):
    for place, file in enumerate(sorted((tmp_path / pictures).glob("*.jpg"))):
        (tmp_path / "classes" / f"{place % 2}").mkdir(parents=True, exist_ok=True)
        file.rename(tmp_path / "classes" / f"{place % 2}" / file.name)
    model = ["squeezenet1_1", "--input", "3x64x64", "--model-arg", "num_classes=2"]
    result = run("evaluate", *model, "--data", "classes", "--held-out", "1")
    _, words = suggested(result)
    assert words == ["convert", *model, "--calibration", "classes"]


@pytest.fixture
def times(run, dense):
    """Times a conversion whose speed-up counts as one or as none."""
    run("convert", *dense, "-o", "out", "--ratio", "3", "--force")

    def benchmark(monkeypatch, *, faster, runtime="eager"):
        monkeypatch.setattr(next_step, "NO_FASTER", 0 if faster else inf)
        return suggested(
            run("benchmark", "out", "--model", *dense, "--runtime", runtime, "--seconds", "0")
        )

    return benchmark


def test_what_is_faster_is_exported(times, monkeypatch):
    purpose, words = times(monkeypatch, faster=True)
    assert purpose == "Faster in eager. To export it"
    assert words[:4] == ["export", "out", "--to", "onnx"]


def test_what_is_faster_in_int8_is_exported_in_int8(times, monkeypatch):
    pytest.importorskip("onnxruntime")
    _, words = times(monkeypatch, faster=True, runtime="onnxruntime-int8")
    assert words[2:7] == ["--to", "onnx", "--int8", "--calibration", "IMAGES"]


def test_what_is_not_faster_is_converted_by_time(times, monkeypatch, dense):
    purpose, words = times(monkeypatch, faster=False)
    assert purpose == "Not faster in eager. To replace only what is faster in eager"
    assert words == [
        "convert", *dense, "--ratio", "3", "--runtime", "eager", "--out", "out-eager"
    ]  # fmt: skip


def test_what_was_converted_by_time(times, monkeypatch):
    by_time = ["convert", "x", "--ratio", "2", "--runtime", "eager"]
    monkeypatch.setattr(
        "ghostify.io.recipe.read_recipe", with_options(runtime="eager", command=by_time)
    )
    purpose, words = times(monkeypatch, faster=False)
    assert purpose == "Not faster in eager. To plan by latency"
    latency = ["--runtime", "eager", "--budget", "latency=0.8"]
    assert words == ["convert", "x", *latency, "--out", "out-eager"]


def with_options(**options):
    return lambda path: replace(read_recipe(path), options=options)


def test_what_python_saved(times, monkeypatch):
    monkeypatch.setattr("ghostify.io.recipe.read_recipe", with_options())
    _, words = times(monkeypatch, faster=False)
    assert words == [
        "convert", "dense.py:build", "--input", "3x16x16", "--runtime", "eager", "--out",
        "out-eager",
    ]  # fmt: skip


def test_little_is_faster(run, dense, monkeypatch):
    monkeypatch.setattr(next_step, "_LITTLE", inf)
    monkeypatch.setattr("ghostify.planning.rules.Rules.reason_to_keep", lambda *_: None)
    purpose, words = suggested(
        run("convert", *dense, "--ratio", "3", "--runtime", "eager", "-o", "out")
    )
    assert purpose.startswith("In eager, only 2 of 2 convolutions are faster as Ghost modules")
    assert words[-3:] == ["--budget", "latency=0.8", "--force"]
    assert "--ratio" not in words


@pytest.mark.parametrize(
    ("lr", "top1", "said"),
    [
        (
            4e-3, 0.5,
            "To train longer, at a lower rate: ghostify recover out --data shades --lr 0.001 "
            "--epochs 4",
        ),
        (None, 0.5, "To train longer: ghostify recover out --data shades --lr 1 --epochs 4"),
        (4e-3, 0.899, "To measure the speed-up: ghostify benchmark out"),
    ],
)  # fmt: skip
def test_a_training_that_was_not_better(monkeypatch, capsys, lr, top1, said):
    words = ["recover", "out", "--data", "shades", "--lr", "1", "--epochs", "2", "--resume"]
    monkeypatch.setattr("sys.argv", ["ghostify", *words])
    recovery = Recovery(
        RecoverySettings(lr=lr), steps=3, images=96, seconds=1.0, ended="epochs",
        original=Score(8, top1=0.9), converted=Score(8, top1=top1), history=({}, {}),
    )  # fmt: skip
    next_step.after_recover(Path("out"), recovery, OriginalOptions())
    assert capsys.readouterr().err.startswith(said)


def test_options_are_replaced():
    words = ["convert", "net.py:build", "--force", "-o", "a", "--out=b", "--ratio", "2", "--stem"]
    assert next_step._without(words, "--force", "-o", "--out", "--ratio") == [
        "convert", "net.py:build", "--stem"
    ]  # fmt: skip


def test_flags_are_what_the_user_wrote():
    assert next_step.flags(DataOptions("pictures", workers=2, no_labels=True)) == [
        "--data", "pictures", "--workers", "2", "--no-labels"
    ]  # fmt: skip
    assert next_step.flags(SiteOptions(include=["a", "b"], budget=["macs<=2G"])) == [
        "--include", "a", "--include", "b", "--budget", "macs<=2G"
    ]  # fmt: skip
    assert next_step.flags(OriginalOptions()) == []


def test_export_in_float32(run, trained, tmp_path):
    torch.save(torch.rand(20, 3, 16, 16), "images.pt")
    purpose, words = suggested(run("export", *trained, "--to", "onnx", "-o", "net.onnx"))
    assert purpose == "For INT8, which most CPUs run faster"
    assert words[-5:] == ["--to", "onnx", "--int8", "--calibration", "IMAGES"]
    assert "-o" not in words
    result = run(*filled(words, IMAGES="images.pt"))
    assert result.code == 0
    assert "ghostify" not in result.err


def test_export_of_a_folder_knows_its_images(run, trained):
    torch.save(torch.rand(20, 3, 16, 16), "images.pt")
    assert run("convert", *trained, "--calibration", "images.pt", "--out", "folder").code == 0
    result = run("export", "folder", "--model", "net.py:build")
    assert suggested(result)[1][-2:] == ["--calibration", "images.pt"]


def test_export_to_a_format_without_int8(run, trained):
    assert "ghostify" not in run("export", *trained, "--to", "torch-export").err
