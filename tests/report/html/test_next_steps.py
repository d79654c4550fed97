"""What has not been done yet."""

import pytest

from ghostify.io.measurements import record
from ghostify.report.html.next_steps import next_steps
from ghostify.report.html.summary import ArtifactSummary


def commands(folder):
    return [step.command.removeprefix("ghostify ") for step in next_steps(ArtifactSummary(folder))]


def names(folder):
    return [command.split()[0] for command in commands(folder)]


@pytest.fixture
def known(artifact, make):
    """An artifact whose original's weights have a name."""
    original = {"digest": "0", "trained": True, "name": "IMAGENET1K_V2"}
    source = {"name": "resnet50", "arguments": {}, "input_size": [3, 8, 8]}
    make.change(artifact, lambda recipe: recipe.update(original=original, source=source))
    return artifact


def test_of_a_new_conversion(known):
    assert commands(known) == [
        "compare out",
        "evaluate out --data images",
        "recover out --data images",
        "benchmark out --runtime onnxruntime,openvino",
        "export out --to onnx",
        "export out --to openvino",
        "report out --image image.jpg",
        "report out",
    ]


def test_what_was_done_is_no_step(known, sites, make):
    make.measure(known, sites)
    assert names(known) == ["recover", "export", "export", "report", "report"]
    assert "export out --to onnx --int8 --calibration images" in commands(known)
    make.train(known)
    export = {
        "path": "out.xml", "to": "openvino", "batch": 1, "inputs": 3, "max_abs_error": 1e-6,
        "max_relative_error": 1e-7, "size": 2345, "note": "",
    }  # fmt: skip
    record(known, "export", export, part="openvino")
    score = {"images": 40, "agreement": 0.9, "kl": 0.1, "relative_error": 0.2}
    record(known, "export", export | {"score": score}, part="openvino-int8")
    pictures = {"channel": 0, "converted": "", "original": None}
    site = {"name": "a", "size": [8, 8], "maps": [pictures]}
    record(known, "feature-maps", {
        "image": "", "sites": [site], "classes": None, "original_classes": None,
    })  # fmt: skip
    assert commands(known) == ["report out"]


def test_random_weights_are_neither_scored_nor_recovered(known, make):
    make.change(known, lambda recipe: recipe["original"].update(trained=False))
    assert not {"evaluate", "recover"} & {*names(known)}


def test_weights_that_the_recipe_does_not_know(artifact):
    assert "recover out --data images --weights original.safetensors --model net" not in commands(
        artifact
    )
    assert "recover out --data images --weights original.safetensors" in commands(artifact)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("resnet50", ""),
        ("torchvision:resnet50", ""),
        ("timm:resnet50", ""),
        ("ghostify:ghostnet_100", ""),
        ("my net.py:build", " --model 'my net.py:build'"),
        ("my.package:build", " --model my.package:build"),
        (None, " --model FILE.py:FACTORY --input CxHxW"),
    ],
)
def test_the_model_that_commands_need(artifact, make, name, option):
    source = name and {"name": name, "arguments": {}, "input_size": [3, 8, 8]}
    make.change(artifact, lambda recipe: recipe.update(source=source))
    assert f"export out --to onnx{option}" in commands(artifact)


def test_a_folder_with_a_space(known):
    folder = known.rename(known.with_name("my net"))
    assert "export 'my net' --to onnx" in commands(folder)
