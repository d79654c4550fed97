"""``ghostify compare``"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ghostify.data.tensors import TensorImages
from ghostify.io.recipe import read_recipe, write_recipe

OWN = ["--model", "net.py:build", "--input", "3x16x16"]


@pytest.fixture
def weights(run, tmp_path, as_trained):
    """A file with the weights of the network in ``net.py``."""
    sys.path.insert(0, str(tmp_path))
    from net import build

    torch.save(as_trained(build()).state_dict(), "weights.pt")
    return ["--weights", "weights.pt"]


@pytest.fixture
def out(run, net, weights, tensor):
    """An artifact, and what was printed when it was made."""
    result = run("convert", *net, *weights, "--calibration", tensor, "--out", "out")
    assert result.code == 0, result.err
    return result


def test_the_report_again(run, out):
    result = run("compare", "out", *OWN)
    assert result.code == 0, result.err
    assert result.out == out.out


def test_on_other_images(run, out, weights):
    torch.save(torch.randn(6, 3, 16, 16), "other.pt")
    result = run("compare", "out", *OWN, *weights, "--data", "other.pt")
    assert result.code == 0, result.err
    assert "images given to compare 6" in " ".join(result.out.split())
    assert "held out" not in result.out
    assert max(map(len, result.out.splitlines())) <= 80


def test_on_the_same_images_it_has_kept_the_same(run, out, weights, tensor):
    """The network has no batch norm: what is held out is all that differs."""
    held = TensorImages(torch.load(tensor)).hold_out(0.1)[0].images[4::5]
    torch.save(held, "held.pt")
    found = [
        json.loads(run("compare", "out", *OWN, *more, "--format", "json").out)
        for more in ([], [*weights, "--data", "held.pt"])
    ]
    first, second = (data["fidelity"]["score"] for data in found)
    assert first["relative_error"] == pytest.approx(second["relative_error"], rel=1e-4)
    assert first["images"] == second["images"] == 3


def test_a_named_network_builds_itself(run):
    assert run("convert", "squeezenet1_1", "--model-arg", "num_classes=5", "--out", "out").code == 0
    result = run("compare", "out", "--input", "3x96x96")
    assert result.code == 0, result.err
    assert "squeezenet1_1, input 1x3x96x96" in result.out


def test_images_without_the_originals_weights(fails, run):
    run("convert", "squeezenet1_1", "--model-arg", "num_classes=5", "--out", "out")
    torch.save(torch.randn(6, 3, 96, 96), "images.pt")
    said = fails("compare", "out", "--data", "images.pt", "--input", "3x96x96")
    assert "out was converted from a randomly initialized network: convert again with" in said


def test_an_argument_that_could_name_a_file_is_given_again(fails, run):
    run("convert", "squeezenet1_1", "--model-arg", "dropout=0.1", "--out", "out")
    recipe = read_recipe(Path("out"))
    arguments = {**recipe.source.arguments, "cache": "http://evil"}
    write_recipe(Path("out"), replace(recipe, source=replace(recipe.source, arguments=arguments)))
    said = fails("compare", "out")
    assert "out was made with the argument 'cache' of squeezenet1_1" in said
    assert "add --model-arg cache=VALUE" in said
    said = fails("compare", "out", "--model-arg", "cache=1")  # is used then
    assert "unexpected keyword argument 'cache'" in said


def test_own_code_is_not_run_on_an_artifacts_word(fails, out):
    said = fails("compare", "out")
    assert "made from your own code" in said
    assert said.endswith("add --model net.py:build")


def test_folders_that_are_no_artifact(fails, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "empty is not a ghostify artifact" in fails("compare", "empty")
    assert "missing is not a ghostify artifact" in fails("compare", "missing")
    assert "empty is not a ghostify artifact" in fails("compare", "empty", *OWN)
    Path("empty/recovery").mkdir()
    assert "empty holds an unfinished training: resume it" in fails("compare", "empty", *OWN)


def test_another_original(fails, out):
    said = fails("compare", "out", "--model", "net.py:build", "--input", "3x16x16",
                 "--model-arg", "width=24")  # fmt: skip
    assert "the plan was made for another 2" in said


def test_a_damaged_artifact(fails, out, tmp_path):
    with (tmp_path / "out" / "model.safetensors").open("ab") as file:
        file.write(b"more")
    assert "model.safetensors is damaged" in fails("compare", "out", *OWN)
