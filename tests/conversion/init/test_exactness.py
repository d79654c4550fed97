"""Conversions are exact where filters are ghosts of each other.

A network is made of Ghost modules in random order, and each is written as the one dense
convolution that computes the same. What makes that exact: a 1x1 cheap kernel multiplies a filter
by a number, for any geometry. A 3x3 cheap kernel over a convolution whose only tap is the middle
one spreads that tap over 3x3, ``stride`` pixels apart; where the cheap operation sees zeros beyond
the border of a map, the dense one sees zeros beyond the border of the input. It is so as long as
intrinsic maps have no bias, which the padding of the cheap operation would cut off.

Batch norms remember means that the ghosts of any intrinsic maps have, border apart. All maps are
about equally large: errors are found to six digits of the largest.
"""

import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn

import ghostify
from ghostify import GhostModule, GhostSpec, Plan
from ghostify.types import Decision, Fidelity


@st.composite
def ghosts(draw):
    """Options of a Ghost module that has a dense twin, without its inputs."""
    dw_size, stride = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 2]))
    if dw_size == 3:
        geometry = {"kernel_size": 2 * stride + 1, "padding": stride}
    else:
        geometry = {
            "kernel_size": draw(st.sampled_from([1, 3, (1, 5), (2, 3)])),
            "padding": draw(st.sampled_from([0, 1, (0, 2)])),
            "dilation": draw(st.sampled_from([1, 2])),
            "padding_mode": draw(st.sampled_from(["zeros", "circular"])),
        }
    return geometry | {
        "out_channels": draw(st.integers(9, 17)),
        "stride": stride,
        "bias": draw(st.booleans()),
        "ratio": draw(st.sampled_from([2, 3, 4])),
        "dw_size": dw_size,
    }


@torch.no_grad()
def dense_twin(in_channels, *, ratio, dw_size, bias, **geometry):
    """A random Ghost module, the convolution that computes the same, and means of its outputs."""
    ghost = GhostModule(in_channels, **geometry, bias=bias, ratio=ratio, dw_size=dw_size)
    dense = nn.Conv2d(in_channels, **geometry, bias=bias)
    primary, cheap = ghost.primary_conv[0], ghost.cheap_operation[0]
    made = nn.init.kaiming_normal_(primary.weight)
    kernel = nn.init.uniform_(cheap.weight, 0.5, 1.5).div_(dw_size)
    kernel *= torch.randn_like(kernel).sign()
    sources = torch.arange(len(kernel)) % len(made)
    if dw_size == 1:
        spread = made[sources] * kernel
    else:
        stride = geometry["stride"]
        middle = made[:, :, stride, stride] * geometry["kernel_size"]
        made.zero_()[:, :, stride, stride] = middle
        spread = dense.weight.new_zeros(len(kernel), *made.shape[1:])
        spread[:, :, ::stride, ::stride] = middle[sources][:, :, None, None] * kernel
    constants = cheap.bias if bias else torch.zeros(len(kernel))
    means = torch.randn(len(made))
    means = torch.cat([means, kernel.sum((1, 2, 3)) * means[sources] + constants])
    order = torch.randperm(dense.out_channels)
    dense.weight.copy_(torch.cat([made, spread])[order])
    if bias:
        primary.bias.mul_(dw_size == 1)
        constants = constants + kernel.sum((1, 2, 3)) * primary.bias[sources]
        dense.bias.copy_(torch.cat([primary.bias, constants])[order])
    ghost.order = order
    return ghost, dense, means[order]


def norm_of(means):
    norm = nn.BatchNorm2d(len(means))
    norm.running_mean.copy_(means)
    for values in (norm.running_var, norm.weight, norm.bias):
        nn.init.uniform_(values, 0.5, 2)
    return norm


def stem():
    return [nn.Conv2d(3, 9, 3, padding=1), norm_of(torch.randn(9) / 5), nn.ReLU()]


@given(ghosts())
def test_twins_compute_the_same(geometry):
    ghost, dense, _ = dense_twin(5, **geometry)
    x = torch.randn(2, 5, 12, 13)
    torch.testing.assert_close(ghost(x), dense(x), rtol=1e-4, atol=1e-4)


@settings(max_examples=25, phases=[Phase.explicit, Phase.generate])
@given(
    st.lists(st.tuples(ghosts(), st.booleans()), min_size=1, max_size=2),
    st.sampled_from(["weights", "calibrated"]),
    st.integers(0, 9),
)
def test_conversions_are_exact(modules, init, seed):
    torch.manual_seed(seed)
    layers, width, specs = stem(), 9, {}
    for geometry, normed in modules:
        _, dense, means = dense_twin(width, **geometry)
        specs[str(len(layers))] = GhostSpec(geometry["ratio"], geometry["dw_size"])
        layers += [dense, norm_of(means), nn.ReLU()] if normed else [dense, nn.ReLU()]
        width = dense.out_channels
    model, images = nn.Sequential(*layers[:-1]).eval(), torch.randn(9, 3, 32, 31)
    plan = Plan(
        tuple(
            Decision(site, specs.get(site.name), None if site.name in specs else "stem")
            for site in ghostify.analyze(model, images[:1])
        )
    )
    converted = ghostify.convert(model, images[:1], plan=plan, init=init, calibration=images)
    with torch.no_grad():
        expected, found = model(images), converted(images)
    assert (found - expected).norm() <= 1e-5 * expected.norm()
    assert all(r < 1e-6 for r in Fidelity.find(converted).residuals.values())
