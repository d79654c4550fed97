import pytest
import torch

import ghostify
from ghostify import GhostifyError, models
from ghostify.planning.flops import count

IMAGE = (1, 3, 224, 224)


@pytest.mark.parametrize(
    ("width", "params", "macs"),
    [(0.5, 2_587_292, 42_328_152), (1.0, 5_182_508, 141_150_512), (1.3, 7_358_820, 227_003_256)],
)
def test_the_papers_counts(width, params, macs):
    """Parameters 2.6, 5.2 and 7.3 M, MACs 42, 141 and 226 M in the paper (arXiv 1911.11907)."""
    found = count(models.ghostnet(width), torch.zeros(IMAGE))
    assert (found.params, found.conv_and_linear_macs) == (params, macs)


@pytest.mark.parametrize("width", [0.1, 0.75, 1.1, 2])
def test_any_width(width):
    network = models.ghostnet(width, num_classes=7).eval()
    assert network(torch.randn(2, 3, 64, 64)).shape == (2, 7)


def test_other_classes_channels_and_sizes():
    network = models.ghostnet(0.5, num_classes=10, in_channels=1).eval()
    assert network(torch.randn(2, 1, 97, 130)).shape == (2, 10)
    assert models.ghostnet(0.5, num_classes=0).eval()(torch.randn(2, 3, 64, 64)).shape == (2, 1280)


def test_dropout_in_training_alone():
    network = models.ghostnet(0.5, num_classes=0, dropout=1.0)
    assert not network(torch.randn(2, 3, 64, 64)).any()
    assert network.eval()(torch.randn(2, 3, 64, 64)).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width"),
        ({"width": float("nan")}, "width"),
        ({"width": "wide"}, r"`width` \(=wide\) must be a number above 0"),
        ({"num_classes": -1}, "num_classes"),
        ({"in_channels": 0}, "in_channels"),
        ({"dropout": 1.5}, "dropout"),
    ],
)
def test_what_is_out_of_range(arguments, message):
    with pytest.raises(GhostifyError, match=message):
        models.ghostnet(**arguments)


def test_every_weight_is_trained():
    network = models.ghostnet(0.5, num_classes=3)
    network(torch.randn(4, 3, 64, 64)).logsumexp(1).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_its_ghost_modules_are_not_ghosted_again():
    network = models.ghostnet(0.5, num_classes=3)
    sites = ghostify.analyze(network, torch.zeros(1, 3, 64, 64))
    inside = [site for site in sites if ".ghost" in site.name]
    assert len(inside) == 32
    assert {site.ineligible for site in inside} == {"part of a Ghost module"}
    ghost = ghostify.convert(network, torch.zeros(1, 3, 64, 64))
    assert set(ghostify.Plan.of(ghost).replaced) == {
        *(f"blocks.{i}.shortcut.2" for i in ("3.0", "5.0", "6.3", "7.0")),
        "blocks.9.0.conv",
    }
