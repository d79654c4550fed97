"""Redundancy of feature maps with known answers."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import ghostify
from ghostify import GhostifyError
from ghostify.conversion.redundancy import feature_maps


def conv(weight, **options):
    """A convolution with these filters ``(n, c, k, k)``."""
    weight = torch.as_tensor(weight, dtype=torch.float32)
    layer = nn.Conv2d(weight.shape[1], len(weight), weight.shape[2], bias=False, **options)
    layer.weight = nn.Parameter(weight)
    return nn.Sequential(layer)


def shifts(*columns):
    """7x7 filters that shift the input by some columns."""
    weight = torch.zeros(len(columns), 1, 7, 7)
    for row, column in enumerate(columns):
        weight[row, 0, 3, 3 + column] = 1
    return conv(weight, padding=3)


def stripes():
    """Two uncorrelated channels of 16x16 with zero mean: horizontal and vertical stripes."""
    signs = torch.tensor([1.0, -1.0]).repeat(8)
    return torch.stack([signs[:, None].expand(16, 16), signs.expand(16, 16)])[None]


def test_mixtures_by_hand():
    """x, x + z and x + 3z have pairwise squared correlations 1/2, 4/5 and 1/10."""
    net = conv(torch.tensor([[1, 0], [1, 1], [1, 3]])[..., None, None])
    (found,) = ghostify.redundancy(net, stripes(), pairs=1)
    assert found.explained == pytest.approx({1: 1 - (0.5 + 0.2 + 0.2) / 3}, abs=1e-5)
    assert {found.pairs[0].source, found.pairs[0].target} == {1, 2}
    assert found.pairs[0].errors == pytest.approx({1: 0.2}, abs=1e-5)
    assert (found.layer, found.maps, found.size, found.positions) == ("0", 3, (16, 16), 256)
    assert found.ghosts == {1: 0}


@pytest.mark.parametrize(("columns", "enough"), [(1, 3), (2, 5), (3, 7)])
def test_a_shift_needs_a_kernel_that_reaches(columns, enough):
    """On white noise, shifting forward is exact; shifting back lacks the columns that left."""
    noise = torch.randn(4, 1, 40, 40)
    (found,) = ghostify.redundancy(shifts(0, columns), noise)
    (pair,) = found.pairs
    for size, error in pair.errors.items():
        assert error == pytest.approx(0 if size >= enough else 1, abs=0.02)
    if enough == 3:
        assert (pair.source, pair.target) == (0, 1)
        back = 1 / 40
        assert found.explained[3] == pytest.approx(1 - back / 2, abs=0.003)
    assert {size for size, number in found.ghosts.items() if number} == {
        size for size in (1, 3, 5, 7) if size >= enough
    }


@pytest.mark.parametrize("dw_size", [1, 3, 5])
def test_errors_are_those_of_least_squares(dw_size):
    images = torch.randn(3, 2, 24, 24)
    net = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU())
    (found,) = ghostify.redundancy(net, images, layers=["1"], dw_sizes=[dw_size], pairs=2)
    maps = net(images).detach().double()
    assert len(found.pairs) == 2
    for pair in found.pairs:
        windows = F.unfold(maps[:, [pair.source]], dw_size, padding=dw_size // 2)
        inputs = windows.transpose(1, 2).reshape(-1, dw_size**2)
        inputs = torch.cat([inputs, torch.ones(len(inputs), 1)], 1)
        wanted = maps[:, pair.target].reshape(-1, 1)
        rest = wanted - inputs @ torch.linalg.lstsq(inputs, wanted).solution
        expected = rest.square().mean() / wanted.var(correction=0)
        assert pair.errors[dw_size] == pytest.approx(float(expected), abs=1e-4)


def test_pairs_are_disjoint_and_the_best_come_first():
    (found,) = ghostify.redundancy(
        nn.Sequential(nn.Conv2d(3, 8, 3)), torch.randn(2, 3, 32, 32), pairs=9
    )
    numbers = [number for pair in found.pairs for number in (pair.source, pair.target)]
    assert sorted(numbers) == list(range(8))
    errors = [pair.errors[3] for pair in found.pairs]
    assert errors == sorted(errors)


def test_scales_do_not_matter():
    net, noise = shifts(0, 1, -3), torch.randn(2, 1, 40, 40)
    (before,) = ghostify.redundancy(net, noise)
    with torch.no_grad():
        net[0].weight *= torch.tensor([1.0, 1e-3, 1e4])[:, None, None, None]
    (after,) = ghostify.redundancy(net, noise)
    assert after.explained == pytest.approx(before.explained, abs=1e-5)


def test_constant_feature_maps_are_left_out():
    net, noise = shifts(0, 0, 1, -1), torch.randn(2, 1, 40, 40)
    with torch.no_grad():
        net[0].weight[0] = 0
    (found,) = ghostify.redundancy(net, noise)
    (without,) = ghostify.redundancy(shifts(0, 1, -1), noise)
    assert (found.maps, found.constant) == (4, 1)
    assert found.explained == without.explained
    assert {n for pair in found.pairs for n in (pair.source, pair.target)} <= {1, 2, 3}


def test_nearly_empty_feature_maps_are_in_no_pair():
    net, noise = shifts(0, 0, 1, 1), torch.randn(2, 1, 40, 40)
    with torch.no_grad():
        net[0].weight[:2] *= 0.1
    (found,) = ghostify.redundancy(net, noise)
    assert [{pair.source, pair.target} for pair in found.pairs] == [{2, 3}]


@pytest.mark.parametrize("net", [shifts(0), shifts(0, 0)], ids=["one map", "zeros"])
def test_where_there_is_nothing_to_compare(net):
    (found,) = ghostify.redundancy(net, torch.zeros(2, 1, 40, 40))
    assert (found.explained, found.ghosts, found.pairs) == ({}, {}, ())


def test_too_few_positions_leave_a_kernel_size_out():
    net = shifts(0, 1)
    for side, sizes in [(9, []), (10, [1]), (23, [1, 3]), (50, [1, 3, 5, 7])]:
        (found,) = ghostify.redundancy(net, torch.randn(1, 1, side, side))
        assert list(found.explained) == sizes


def test_the_default_is_all_replaceable_layers(small_net):
    steps = []
    found = ghostify.redundancy(small_net, torch.randn(4, 3, 16, 16), progress=steps.append)
    assert [layer.layer for layer in found] == ["stem", "wide", "project"]
    assert [step.detail for step in steps] == ["stem", "wide", "project"]
    assert [(step.done, step.total) for step in steps] == [(1, 3), (2, 3), (3, 3)]


def test_the_model_stays_unchanged(small_net):
    small_net.train()
    before = copy.deepcopy(small_net.state_dict())
    images, state = torch.randn(4, 3, 16, 16), torch.get_rng_state()
    first = ghostify.redundancy(small_net, images)
    assert ghostify.redundancy(small_net, images) == first
    assert small_net.training
    assert not any(module._forward_hooks for module in small_net.modules())
    assert all(torch.equal(before[name], t) for name, t in small_net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_feature_maps_come_before_in_place_operations():
    net, images = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True)), torch.randn(1, 3, 8, 8)
    assert torch.equal(feature_maps(net, images, "0"), net[0](images))


@pytest.mark.parametrize(
    ("layer", "message"),
    [("stme", "no layer 'stme'; did you mean stem?"), ("head", "head outputs no feature maps")],
)
def test_unknown_layers_and_layers_without_feature_maps(small_net, image, layer, message):
    with pytest.raises(GhostifyError, match=message.replace("?", r"\?")):
        ghostify.redundancy(small_net, image, layers=[layer])


def test_a_layer_that_does_not_run(image):
    net = nn.ModuleDict({"used": nn.Conv2d(3, 4, 1), "unused": nn.Conv2d(3, 4, 1)})
    net.forward = net["used"].forward
    with pytest.raises(GhostifyError, match="unused does not run"):
        ghostify.redundancy(net, image, layers=["unused"])


def test_an_even_kernel(small_net, image):
    with pytest.raises(GhostifyError, match="must be odd"):
        ghostify.redundancy(small_net, image, dw_sizes=[2])
