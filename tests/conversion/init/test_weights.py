"""Ghost modules fitted to filters alone."""

import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError
from ghostify.planning import plan_sites
from ghostify.types import Fidelity


def converted(model, **numbers):
    return ghostify.convert(model, torch.zeros(1, 3, 8, 8), init="weights", **numbers)


def with_filters(rows, **kinds):
    """A 1x1 convolution whose filters are ``rows``, behind a stem."""
    weight = torch.tensor(rows, dtype=torch.float32)
    conv = nn.Conv2d(weight.shape[1], len(weight), 1, **kinds)
    conv.weight.data = weight[:, :, None, None]
    return [nn.Conv2d(3, weight.shape[1], 1), conv]


PAIRS = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 3, 0, 0.1], [2, 0, 0, 0]]


def test_pairs_by_hand():
    """Filter 3 is twice filter 0, exactly; 1 and 2 are nearly parallel."""
    model = converted(nn.Sequential(*with_filters(PAIRS, bias=False)), dw_size=1)
    ghost = model[1]
    intrinsic = ghost.primary_conv[0].weight.flatten(1)
    made = ghost.cheap_operation[0].weight.flatten() * intrinsic.T
    found = torch.cat([intrinsic, made.T])
    found = found if ghost.order is None else found[ghost.order]
    assert torch.allclose(found, torch.tensor(PAIRS, dtype=torch.float32), atol=0.11)
    assert Fidelity.find(model).residuals["1"] == pytest.approx(0.01 / 9.01 / 4, rel=1e-2)


def test_the_norm_weights_the_errors():
    """Of four filters at right angles, the one that the norm shrinks becomes a ghost."""
    norm = nn.BatchNorm2d(4)
    norm.running_mean.fill_(1)
    norm.weight.data = torch.tensor([1, 1e-3, 1, 1])
    rows = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    model = nn.Sequential(*with_filters(rows, bias=False), norm)
    ghost = converted(model, ratio=1.34, dw_size=1)
    assert Fidelity.find(ghost).residuals["1"] == pytest.approx(1e-6 / 3, rel=1e-2)


def test_intrinsic_filters_are_the_old_ones(small_net, image):
    ghost = ghostify.convert(small_net, image, init="weights")
    for name in ("wide", "project"):
        module, old = ghost.get_submodule(name), small_net.get_submodule(name)
        places = torch.arange(32) if module.order is None else module.order
        kept = places < 16
        assert torch.equal(module.primary_conv[0].weight[places[kept]], old.weight[kept])
        if old.bias is not None:
            assert torch.equal(module.primary_conv[0].bias[places[kept]], old.bias[kept])


def test_means_are_those_of_the_norm():
    """The norm's mean corrects those of ghosts: kernel times mean is not the mean."""
    norm = nn.BatchNorm2d(4).eval()
    norm.running_mean.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    model = nn.Sequential(*with_filters(PAIRS, bias=False), norm)
    ghost = converted(model, dw_size=1)
    module = ghost[1]
    order = torch.arange(4) if module.order is None else module.order
    source = torch.arange(4)[order.argsort()][:2]
    kernels = module.cheap_operation[0].weight.flatten()
    given = torch.cat([norm.running_mean[source], kernels * norm.running_mean[source]])[order]
    # What each map now has for its mean is what the norm now takes off.
    assert torch.allclose(ghost[2].running_mean, given)


def test_standardized_filters():
    layers = pytest.importorskip("timm.layers")
    model = nn.Sequential(nn.Conv2d(3, 8, 3), layers.StdConv2d(8, 16, 3), nn.ReLU())
    with torch.no_grad():
        model[1].weight[8:] = 3 * model[1].weight[:8] + 5
    ghost = converted(model, dw_size=1)
    x = torch.randn(2, 3, 8, 8)
    assert Fidelity.find(ghost).residuals["1"] < 1e-4
    assert torch.allclose(ghost(x), model(x), atol=1e-3)


def test_it_is_the_default_for_trained_networks(small_net, image):
    assert Fidelity.find(ghostify.convert(small_net, image)) is None
    small_net.norm.running_mean.fill_(1)
    assert Fidelity.find(ghostify.convert(small_net, image)).init == "weights"


def test_an_unknown_name_lists_the_known_ones(small_net, image):
    with pytest.raises(GhostifyError, match="must be one of random, weights, calibrated"):
        ghostify.convert(small_net, image, init="magic")


def test_it_needs_an_example(small_net, image):
    plan = plan_sites(ghostify.analyze(small_net, image))
    with pytest.raises(GhostifyError, match="needs an example input"):
        ghostify.convert(small_net, plan=plan, init="weights")


def test_random_resets_both_convolutions(small_net, image):
    ghost = ghostify.convert(small_net, image, init="random")
    assert not torch.equal(ghost.wide.primary_conv[0].weight, small_net.wide.weight[:16])
    assert Fidelity.find(ghost).residuals == {}
