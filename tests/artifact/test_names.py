"""Names of files that are not UTF-8, as old archives and other systems leave them."""

import os

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save
from torch import nn

import ghostify
from ghostify import Artifact, models, open_data
from ghostify.io.recipe import read_recipe
from ghostify.types import ModelSource

SOURCE = ModelSource("net.py:build", input_size=(3, 16, 16))


@pytest.fixture(params=[b"caf\xe9", b"\xff\xfe", "café".encode()])
def place(request, tmp_path):
    folder = tmp_path / os.fsdecode(request.param)
    folder.mkdir()
    for number in range(20):
        file = folder / "images" / os.fsdecode(b"\xe9%d" % (number % 2)) / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 16, 3), 12 * number, np.uint8)).save(file)
    (file.parent / os.fsdecode(b"\xfc.csv")).write_text("no image")
    return folder


def test_an_artifact_from_images_to_page(small_net, image, place):
    small_net.head = nn.Linear(32, 2)
    torch.save(small_net.state_dict(), place / "w.pt")
    models.load_weights(small_net, place / "w.pt")
    saved = ghostify.save(ghostify.convert(small_net, image), place / "out")
    assert read_recipe(saved.path).original.file == "../w.pt"
    data = open_data(place / "images", small_net, SOURCE, held_out=0.5)
    artifact = Artifact(place / "out", small_net, example=image)
    scores = artifact.evaluate(data, device="cpu").rows
    assert scores["converted"].score.images == 10
    assert artifact.recover(data, epochs=1)[1].steps == 1
    again = Artifact(place / "out", small_net, example=image)
    assert list(data.skipped().values()) == ["not an image"]
    again.write_report(place / "page.html")
    assert "<html" in (place / "page.html").read_text(encoding="utf-8")
    state = ghostify.load(place / "out", small_net).state_dict()
    assert all(torch.equal(t, state[n]) for n, t in artifact.model.state_dict().items())


def test_safetensors(small_net, place):
    (place / "w.safetensors").write_bytes(save(small_net.state_dict()))
    found = models.load_weights(type(small_net)(), place / "w.safetensors")
    assert len(found.loaded) == len(small_net.state_dict())
