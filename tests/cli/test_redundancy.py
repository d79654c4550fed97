"""``ghostify redundancy``"""

import json

import pytest

pytest.importorskip("matplotlib", reason="the command draws with Matplotlib")


def test_all_layers_and_a_picture(run, net, pictures, tmp_path):
    result = run("redundancy", *net, "--image", pictures)
    assert result.code == 0, result.err
    assert "Layers: 3" in result.out
    assert "Drew" in result.err
    assert (tmp_path / "redundancy.png").read_bytes().startswith(b"\x89PNG")


def test_one_layer_for_programs(run, net, tensor, tmp_path):
    options = ["--image", tensor, "--layer", "3", "-o", "maps.svg", "--format", "json"]
    (layer,) = json.loads(run("redundancy", *net, *options).out)["layers"]
    assert layer["layer"] == "3"
    assert layer["positions"] == 16 * 256
    assert (tmp_path / "maps.svg").read_bytes().startswith(b"<?xml")


def test_the_photograph_that_is_there_anyway(run, net):
    result = run("redundancy", *net, "--layer", "0", "--format", "json")
    assert json.loads(result.out)["layers"][0]["positions"] == 256


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layer", "9"], "the model has no layer '9'"),
        (["--image", "missing.png"], "missing.png"),
        (["--out", "maps.xyz"], "the ending must be one such as .png or .svg"),
        (["--out", "nowhere/maps.png"], "no folder nowhere"),
        (["--layer", "4", "--input", "3x8x8"], "these images do not suffice to compare"),
    ],
)
def test_what_cannot_be_done(fails, net, tmp_path, options, message):
    assert message in fails("redundancy", *net, *options)
    assert not list(tmp_path.glob("*.png"))
