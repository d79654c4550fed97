"""Which images networks are scored on."""

import shutil
import sys

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import ghostify
from ghostify.data import open_calibration, open_data, open_evaluation, remember_images
from ghostify.data.fingerprints import has_seen
from ghostify.data.tensors import TensorImages
from ghostify.types import Plan, SeenImages
from ghostify.types.attachment import DeploymentReport
from ghostify.types.errors import GhostifyWarning

from .conftest import SOURCE, Scores

SEEN = "calibrated or trained on some of these images"


def names(data):
    return set(data.validation.dataset.images.names)


def trained_on(folder, **options):
    model = Scores(2)
    remember_images(model, open_data(folder, model, SOURCE, **options))
    return model


def score(model, folder, **options):
    return open_evaluation(folder, [Scores(2), model], SOURCE, **options)


def test_all_images_if_none_was_trained_on(folder):
    other = folder.parent / "other"
    shutil.copytree(folder, other)
    for file in other.rglob("*.png"):  # of the same names
        file.write_bytes(file.read_bytes() + b"\0")
    found = score(trained_on(other), folder)
    assert (len(names(found)), found.held_out, found.seen) == (20, 0, False)


@pytest.mark.parametrize("moved", [False, True])
def test_the_tenth_that_was_not_trained_on(folder, moved):
    model, held_out = trained_on(folder), names(open_data(folder, Scores(2), SOURCE))
    if moved:
        folder = folder.rename(folder.with_name("moved"))
    found = score(model, folder)
    assert (names(found), found.held_out, found.seen) == (held_out, 2, False)


def test_images_to_calibrate_with_count(folder):
    model = Scores(2)
    remember_images(model, open_calibration(folder, model, SOURCE, images=4))
    assert score(model, folder).held_out == 2


def test_the_validation_images_of_a_split(folder):
    shutil.copytree(folder, folder.parent / "split" / "val")
    folder.rename(folder.parent / "split" / "train")
    for file in (folder.parent / "split" / "val").rglob("*.png"):
        file.write_bytes(file.read_bytes() + b"\0")
    model = trained_on(folder.parent / "split")
    for name in ("split", "split/val"):
        found = score(model, folder.parent / name)
        assert (len(found.validation.dataset), found.held_out, found.seen) == (20, 0, False)
    with pytest.warns(GhostifyWarning, match=SEEN):
        assert score(model, folder.parent / "split" / "train").seen


def test_images_that_were_all_trained_on_are_marked(folder):
    model = trained_on(folder, held_out=0)
    with pytest.warns(GhostifyWarning, match=SEEN):
        found = score(model, folder)
    assert (len(names(found)), found.seen) == (2, True)
    example = torch.zeros(1, 3, 16, 16)
    with pytest.warns(GhostifyWarning, match=SEEN):
        shown = ghostify.evaluate_models({"x": model}, folder, example=example)
    assert shown.document("net").title.endswith(
        ": 2 images held out from the training set, some of them seen in training"
    )


def test_a_tenth_of_which_some_were_seen_is_scored_and_marked(tmp_path):
    images = torch.rand(40, 3, 16, 16)
    torch.save(images, tmp_path / "x.pt")
    held_out = score(trained_on(tmp_path / "x.pt"), tmp_path / "x.pt").validation.dataset.images
    place = next(n for n in range(40) if not any(torch.equal(images[n], h) for h in held_out))
    images[place] = held_out[0]  # twice
    torch.save(images, tmp_path / "x.pt")
    model = trained_on(tmp_path / "x.pt")
    with pytest.warns(GhostifyWarning, match=SEEN):
        found = score(model, tmp_path / "x.pt")
    assert (found.held_out, found.seen) == (4, True)


def test_a_share_that_was_asked_for(folder):
    model = trained_on(folder)
    assert score(model, folder, held_out=0.1).held_out == 2
    with pytest.warns(GhostifyWarning, match=SEEN):
        assert score(model, folder, held_out=1).seen


def test_a_dataset_of_training_images():
    pytest.importorskip("sklearn")
    assert open_evaluation("digits", [Scores(10)], SOURCE).held_out == 179


def test_tensors(tmp_path):
    torch.save(torch.rand(40, 3, 16, 16), tmp_path / "x.pt")
    assert len(score(Scores(2), tmp_path / "x.pt").validation.dataset) == 40
    found = score(trained_on(tmp_path / "x.pt"), tmp_path / "x.pt")
    assert (len(found.validation.dataset), found.held_out) == (4, 4)


def test_tensors_of_any_type_that_take_part_in_training():
    images = torch.rand(4, 3, 2, 2, dtype=torch.bfloat16, requires_grad=True)
    model = nn.Identity()
    remember_images(model, DataLoader(TensorImages(images)))
    assert has_seen([model], DataLoader(TensorImages(images[:1])))
    assert not has_seen([model], DataLoader(TensorImages(images[:1] + 1)))


def test_one_loader_only_for_networks_that_were_not_converted(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path.copy())
    (tmp_path / "one.py").write_text(
        "import torch\ndef loader():\n    return [torch.rand(8, 3, 16, 16)] * 5"
    )
    name, model = f"{tmp_path / 'one.py'}:loader", Scores(2)
    assert len(score(model, name).validation) == 5
    Plan(()).attach(model)
    assert score(model, name).validation is None
    assert not score(model, name, held_out=1).seen
    deployed = Scores(2)
    DeploymentReport().attach(deployed)
    assert score(deployed, name).validation is None


def test_many_images_are_known_by_some(tmp_path):
    images = torch.rand(600, 3, 16, 16)
    torch.save(images, tmp_path / "x.pt")
    torch.save(images[:300], tmp_path / "some.pt")
    model = trained_on(tmp_path / "x.pt", held_out=0)
    assert len(list(SeenImages.find(model))) == 512
    with pytest.warns(GhostifyWarning, match=SEEN):
        assert score(model, tmp_path / "some.pt").seen
    remember_images(model, open_data(tmp_path / "some.pt", model, SOURCE))
    assert len(list(SeenImages.find(model))) == 512
