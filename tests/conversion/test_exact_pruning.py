"""Feature maps that are linear combinations of others can be dropped without loss."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import ghostify
from ghostify import Plan
from ghostify.types import Decision

CHANNELS, LEFT = 8, 5


def mixed(left, *, positive):
    """``(CHANNELS, left)``: the first maps themselves, then combinations of them.

    Positive multiples of one map stay so through a ReLU and through max-pooling.
    """
    rest = torch.zeros(CHANNELS - left, left)
    if positive:
        rest[torch.arange(CHANNELS - left), torch.randint(left, (CHANNELS - left,))] = 1
        return torch.cat([torch.eye(left), rest * (0.5 + torch.rand(CHANNELS - left, 1))])
    return torch.cat([torch.eye(left), torch.randn(CHANNELS - left, left)])


@st.composite
def networks(draw):
    """A network in which 3 of 8 inner feature maps follow from the other 5."""
    activation, norm = draw(st.booleans()), draw(st.booleans())
    pool = draw(st.sampled_from([None, nn.AvgPool2d(2), nn.MaxPool2d(2)]))
    positive = activation or isinstance(pool, nn.MaxPool2d)
    torch.manual_seed(draw(st.integers(0, 99)))
    kernel, bias = draw(st.sampled_from([1, 3, (1, 3)])), draw(st.booleans()) and not positive
    conv = nn.Conv2d(6, CHANNELS, kernel, draw(st.integers(1, 2)), bias=bias)
    mix = mixed(LEFT, positive=positive)
    with torch.no_grad():
        conv.weight.copy_(torch.einsum("ij,j...->i...", mix, conv.weight[:LEFT]))
        if bias:
            conv.bias.copy_(torch.randn(CHANNELS))  # constants are made up for, too
    layers = [conv]
    if norm:
        layers.append(nn.BatchNorm2d(CHANNELS))
    if activation:
        layers.append(nn.ReLU())
    if draw(st.booleans()):
        depthwise = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS, bias=not positive)
        with torch.no_grad():
            depthwise.weight.copy_(depthwise.weight[:1].clone())
        layers.append(depthwise)
    layers += [pool] if pool else []
    body = nn.Sequential(*layers)
    if norm:
        calibrate(body, images())
    shape = body(images()[:1]).shape[1:]
    if draw(st.booleans()):
        return nn.Sequential(body, nn.Flatten(), nn.Linear(shape.numel(), 10)).eval()
    head = nn.Conv2d(CHANNELS, 6, draw(st.sampled_from([1, 2])), bias=draw(st.booleans()))
    return nn.Sequential(body, head, nn.BatchNorm2d(6), nn.Flatten(), nn.LazyLinear(10)).eval()


def calibrate(body, x):
    body.train()
    body[1].momentum = None
    body(x)
    body.eval()


def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(400, 6, 6, 6, generator=generator)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(networks())
def test_what_follows_from_other_maps_is_dropped_without_loss(net):
    x = images()
    net(x[:1])  # the last layer is lazy
    site, *others = ghostify.analyze(net, x[:1])
    plan = Plan(
        (
            Decision(site, keep="so", width=LEFT),
            *(Decision(other, keep="so") for other in others),
        )
    )
    pruned = ghostify.convert(net, x[:1], plan=plan, calibration=x, outputs="values")
    with torch.no_grad():
        expected, found = net(x), pruned(x)
    assert pruned[0][0].out_channels == LEFT
    scale = expected.std()
    assert float((found - expected).abs().max() / scale) == pytest.approx(0, abs=1e-5)
