"""Windows of a convolution's input against the convolution itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from ghostify.conversion.init import sample as sample_module
from ghostify.conversion.init.conv_call import ConvCall, call_of
from ghostify.conversion.init.sample import Sampler, draw_positions, values_at

MODES = ["zeros", "reflect", "replicate", "circular"]


@st.composite
def convolutions(draw):
    groups = draw(st.sampled_from([1, 2]))
    padding = draw(st.sampled_from([0, 1, (0, 2), "same", "valid"]))
    return nn.Conv2d(
        2 * groups,
        4,
        draw(st.sampled_from([1, 2, 3, (1, 5), (3, 1), (2, 3)])),
        1 if padding == "same" else draw(st.sampled_from([1, 2, (2, 1), 3])),
        padding,
        draw(st.sampled_from([1, 2, (1, 2)])),
        groups,
        bias=draw(st.booleans()),
        padding_mode=draw(st.sampled_from(MODES)),
    )


def all_positions(maps):
    return draw_positions("", (len(maps), *maps.shape[2:]), maps[:, 0].numel())


def sampled(conv, x, positions, dw_size):
    call = call_of(conv, (x,))
    sampler = Sampler(dw_size, len(positions))
    half = len(positions) // 2
    for some in (positions[:half], positions[half:]):
        sampler.add(call, some, torch.zeros(len(call.weight), len(some)))
    return call, sampler.sample()


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@torch.no_grad()
def check(conv, x, dw_size):
    maps = conv(x)
    positions = all_positions(maps)
    call, sample = sampled(conv, x, positions, dw_size)
    assert call.output_shape == (len(maps), *maps.shape[2:])
    bias = torch.zeros(len(call.weight)) if call.bias is None else call.bias

    if dw_size == 1:
        outputs = sample.outputs(sample.windows, call.weight) + bias[:, None]
        torch.testing.assert_close(outputs, values_at(maps, positions), atol=1e-5, rtol=1e-5)

    if conv.groups == 1:
        around = sample.outputs_around(sample.windows, sample.valid, call.weight, bias)
        side = dw_size // 2
        padded = F.pad(maps, [side] * 4)
        for p, (i, r, c) in enumerate(positions):
            expected = padded[i, :, r : r + dw_size, c : c + dw_size]
            torch.testing.assert_close(around[..., p], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@settings(max_examples=80)
@given(convolutions(), st.sampled_from([1, 3, 5]))
def test_windows_give_outputs_and_their_neighbors(conv, dw_size):
    check(conv, torch.randn(2, conv.in_channels, 9, 11), dw_size)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("dilation", [1, 3])
@pytest.mark.parametrize("mode", MODES)
def test_even_kernels_reach_one_pixel_further_behind(dilation, mode):
    conv = nn.Conv2d(2, 3, (2, 4), padding="same", dilation=dilation, padding_mode=mode)
    check(conv, torch.randn(1, 2, 11, 12), 3)


@pytest.mark.parametrize("name", ["Conv2dSame", "StdConv2d", "StdConv2dSame", "ScaledStdConv2d"])
@pytest.mark.parametrize("stride", [1, 2])
def test_subclasses_with_a_forward_of_their_own(name, stride):
    layers = pytest.importorskip("timm.layers")
    check(getattr(layers, name)(3, 6, 3, stride=stride), torch.randn(2, 3, 9, 8), 3)


def test_an_image_without_a_batch():
    conv, x = nn.Conv2d(2, 3, 3, padding=1), torch.randn(2, 5, 5)
    assert call_of(conv, (x,)).x.shape == (1, 2, 5, 5)
    assert call_of(conv, (x,)).output_shape == (1, 5, 5)


def test_no_convolution_is_run(monkeypatch):
    conv = nn.Conv2d(2, 3, 3)
    monkeypatch.setattr(torch, "conv2d", None)
    assert call_of(conv, (torch.zeros(1, 2, 4, 4),)).weight is conv.weight


def test_chunks_cover_all_positions_in_order(monkeypatch):
    conv, x = nn.Conv2d(2, 3, 3, padding=1), torch.randn(2, 2, 6, 6)
    _, sample = sampled(conv, x, all_positions(conv(x)), 3)
    monkeypatch.setattr(sample_module, "_CHUNK_BYTES", 7 * 4 * sample.windows[..., 0].numel())
    windows, valid, targets = zip(*sample.chunks(), strict=True)
    assert [chunk.shape[-1] for chunk in windows] == [7] * 10 + [2]
    assert torch.equal(torch.cat(windows, -1), sample.windows)
    assert torch.equal(torch.cat(valid, -1), sample.valid)
    assert torch.equal(torch.cat(targets, -1), sample.targets)


def test_capacity():
    sampler, conv = Sampler(1, 5), nn.Conv2d(2, 3, 1)
    assert sampler.sample() is None
    call = call_of(conv, (torch.randn(1, 2, 4, 4),))
    for _ in range(2):
        sampler.add(call, draw_positions("a", (1, 4, 4), 3), torch.ones(3, 3))
    assert len(sampler.sample()) == 5


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(0, 60))
def test_positions_lie_inside_and_depend_on_the_seed_alone(images, height, width, number):
    drawn = draw_positions("layer/0/0", (images, height, width), number)
    assert len(drawn) == min(number, images * height * width)
    assert bool((drawn >= 0).all() and (drawn < torch.tensor([images, height, width])).all())
    assert torch.equal(drawn, draw_positions("layer/0/0", (images, height, width), number))
    if number >= images * height * width:
        assert len(drawn.unique(dim=0)) == images * height * width


def test_thinned_samples_hold_every_third_position():
    call = ConvCall(torch.randn(3, 2, 8, 8), torch.randn(4, 2, 3, 3), None)
    sampler = Sampler(3, 50)
    drawn = draw_positions("x", call.output_shape, 50)
    sampler.add(call, drawn, torch.arange(200.0).view(4, 50))
    sample = sampler.sample()
    thin = sample.thinned(20)
    assert len(thin) == 17
    assert torch.equal(thin.targets, sample.targets[:, ::3])
    assert torch.equal(thin.windows, sample.windows[..., ::3])
    assert torch.equal(thin.valid, sample.valid[..., ::3])
    assert len(sample.thinned(50)) == 50
