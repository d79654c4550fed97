"""``ghostify recalibrate``"""

import pytest
import torch

from ghostify import Artifact, load, save
from ghostify.io.measurements import recorded
from ghostify.io.recipe import read_recipe

from .test_evaluate import LABELED, data, out, weights  # noqa: F401


def state(folder):
    from classes import build

    return load(folder, build()).state_dict()


@pytest.fixture
def spoiled(run, out, weights, tmp_path):  # noqa: F811
    """The artifact with statistics that are far off."""
    from classes import build

    artifact = Artifact(tmp_path / out, build())
    artifact.model[4].running_var *= 1e-4
    source = artifact.source
    return save(artifact.model, tmp_path / out, source=source, force=True).path


def test_statistics_that_were_off(run, spoiled, data, weights):  # noqa: F811
    before, recipe = state(spoiled), read_recipe(spoiled)
    result = run("recalibrate", spoiled, *LABELED, *weights, "--data", data, "--no-labels")
    assert result.code == 0, result.err
    new = spoiled.with_name("out-recalibrated")
    assert f"Saved to {new}" in result.err
    after = state(new)
    assert after["4.running_var"].min() > 1e-3
    assert torch.equal(before["0.weight"], after["0.weight"])
    kept = ("source", "options", "plan", "fidelity")
    assert all(getattr(recipe, key) == getattr(read_recipe(new), key) for key in kept)
    (stored,) = recorded(new, "evaluation")
    assert list(stored["rows"]) == ["converted", "recalibrated"]


def test_what_is_worse_is_not_saved(run, out, data, weights):  # noqa: F811
    """Statistics as they were when the network was made agree with the original's."""
    before = state(out)
    arguments = ["recalibrate", out, *LABELED, *weights, "--data", data, "--no-labels"]
    result = run(*arguments)
    assert result.code == 0
    assert "The score is worse; nothing is saved. --keep-worse saves it" in " ".join(
        result.err.split()
    )
    assert all(torch.equal(before[name], now) for name, now in state(out).items())
    assert run(*arguments, "--keep-worse").code == 0
    assert all(torch.equal(before[name], now) for name, now in state(out).items())
    assert not torch.equal(before["1.running_mean"], state("out-recalibrated")["1.running_mean"])


def test_a_network_without_batch_norms(fails, run, net, tmp_path, data):  # noqa: F811
    run("convert", *net, "--out", "plain")
    said = fails("recalibrate", "plain", "--model", "net.py:build", "--input", "3x16x16",
                 "--data", data, "--no-labels")  # fmt: skip
    assert "has no BatchNorm with running statistics" in said
