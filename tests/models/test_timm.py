"""The networks are timm's, and so the authors': names, their order, and outputs."""

import pytest
import torch

import ghostify
from ghostify import models
from ghostify.analysis.convolutions import is_ghost
from ghostify.types import ModelSource

timm = pytest.importorskip("timm", reason="timm is an extra")

NAMES = [
    "ghostnet_050", "ghostnet_100", "ghostnet_130",
    "ghostnetv2_100", "ghostnetv2_130", "ghostnetv2_160",
    "ghostnetv3_050", "ghostnetv3_100", "ghostnetv3_130", "ghostnetv3_160",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_order_and_outputs(name, lived_in):
    ours, _ = models.build(ModelSource(f"ghostify:{name}"))
    theirs = lived_in(timm.create_model(name))
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        found, expected = ours.eval()(images), theirs.eval()(images)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert expected.std() > 0


@pytest.mark.parametrize("name", ["ghostnet_050", "ghostnetv2_100", "ghostnetv3_050"])
def test_training_is_alike_too(name):
    ours, _ = models.build(ModelSource(f"ghostify:{name}", {"dropout": 0.0}))
    theirs = timm.create_model(name, drop_rate=0.0)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(4, 3, 96, 96)
    outputs = [network.train()(images) for network in (ours, theirs)]
    for output in outputs:
        output.square().sum().backward()
    assert torch.allclose(*outputs, atol=1e-5)
    weights = [network.conv_stem.weight.grad for network in (ours, theirs)]
    assert torch.allclose(*weights, rtol=1e-3, atol=1e-4 * weights[1].abs().max())
    own, state = ours.state_dict(), theirs.state_dict()
    statistics = [key for key in state if "running" in key]
    assert all(torch.allclose(own[key], state[key], atol=1e-5) for key in statistics)


def test_fused_it_is_timms_reparameterised():
    ours, _ = models.build(ModelSource("ghostify:ghostnetv3_050"))
    theirs = timm.create_model("ghostnetv3_050").eval()
    ours.load_state_dict(theirs.state_dict())
    fused = ghostify.reparameterize(ours.eval())
    theirs.convert_to_deploy()
    state = theirs.state_dict()
    assert fused.state_dict().keys() == state.keys()
    assert all(torch.allclose(t, state[n], atol=1e-6) for n, t in fused.state_dict().items())


@pytest.mark.parametrize("name", ["ghostnet_100", "ghostnetv2_100", "ghostnetv3_100"])
def test_published_files_load_as_they_are(name, tmp_path):
    """With a profiler's counts in the authors' files, and V3's batch norms named as there."""
    state = {}
    for key, tensor in timm.create_model(name).state_dict().items():
        branch = ".ghost" in key or ".dw_rpr_" in key
        state[key.replace(".bn1.", ".bn.") if branch else key] = tensor
        state[f"{key.rpartition('.')[0]}.total_ops"] = torch.zeros(1)
    assert any(".bn." in key for key in state) == ("v3" in name)
    torch.save({"state_dict": state}, tmp_path / "published.pth.tar")
    ours, _ = models.build(ModelSource(f"ghostify:{name}"))
    found = models.load_weights(ours, tmp_path / "published.pth.tar")
    assert str(found) == f"{len(ours.state_dict())} tensors loaded"


@pytest.mark.parametrize("name", ["ghostnet_050", "ghostnetv2_100", "ghostnetv3_050"])
def test_timms_own_ghost_modules_are_known(name):
    assert sum(map(is_ghost, timm.create_model(name).modules())) == 32


def test_repghosts_modules_make_all_maps_themselves():
    assert not any(map(is_ghost, timm.create_model("repghostnet_050").modules()))


def test_timms_own_ghost_modules_are_not_ghosted_again():
    sites = ghostify.analyze(timm.create_model("ghostnet_050"), torch.zeros(1, 3, 64, 64))
    primaries = [site for site in sites if ".primary_conv." in site.name]
    assert len(primaries) == 32
    assert {site.ineligible for site in primaries} == {"part of a Ghost module"}
