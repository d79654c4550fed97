"""The networks are timm's, and so the authors': names, their order, and outputs."""

import pytest
import torch

from ghostify import ModelSource, zoo

timm = pytest.importorskip("timm", reason="timm is an extra")

NAMES = ["ghostnet_050", "ghostnet_100", "ghostnet_130"]


def twins(name):
    """Ours and timm's with the same random weights and running statistics."""
    ours, _ = zoo.build(ModelSource(f"ghostify:{name}"))
    theirs = timm.create_model(name)
    with torch.no_grad():
        for key, tensor in theirs.state_dict().items():
            if key.endswith("running_mean"):
                tensor.normal_(0, 0.1)
            elif key.endswith("running_var"):
                tensor.uniform_(0.5, 2)
    return ours, theirs


@pytest.mark.parametrize("name", NAMES)
def test_names_order_and_outputs(name):
    ours, theirs = twins(name)
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        found, expected = ours.eval()(images), theirs.eval()(images)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert expected.std() > 0


def test_training_is_alike_too():
    ours, theirs = twins("ghostnet_050")
    ours.load_state_dict(theirs.state_dict())
    ours.drop.p, theirs.drop_rate = 0.0, 0.0
    images = torch.randn(4, 3, 96, 96)
    outputs = [network.train()(images) for network in (ours, theirs)]
    for output in outputs:
        output.square().sum().backward()
    assert torch.allclose(*outputs, atol=1e-5)
    weights = [network.conv_stem.weight.grad for network in (ours, theirs)]
    assert torch.allclose(*weights, rtol=1e-3, atol=1e-4 * weights[1].abs().max())
    statistics = [network.blocks[8][3].ghost2.primary_conv[1] for network in (ours, theirs)]
    assert torch.allclose(*(norm.running_var for norm in statistics), atol=1e-5)


def test_timms_own_ghost_modules_are_known():
    import ghostify

    sites = ghostify.analyze(timm.create_model("ghostnet_050"), torch.zeros(1, 3, 64, 64))
    primaries = [site for site in sites if ".primary_conv." in site.name]
    assert {site.obstacle for site in primaries} == {"part of a Ghost module"}
