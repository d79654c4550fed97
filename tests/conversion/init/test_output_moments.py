"""Moments of outputs against those of samples, and errors against least squares."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from ghostify.conversion.init.conv_call import call_of
from ghostify.conversion.init.output_moments import OutputMoments
from ghostify.conversion.init.pair_errors import pair_errors
from ghostify.conversion.init.sample import draw_positions


@st.composite
def convolutions(draw):
    """Convolutions with few inputs, whose products are those of inputs, and with many."""
    torch.manual_seed(draw(st.integers(0, 99)))
    size, stride, dilation = (draw(st.integers(1, 2)) for _ in range(3))
    bias, inputs, outputs = draw(st.booleans()), draw(st.integers(1, 4)), draw(st.integers(2, 9))
    return nn.Conv2d(inputs, outputs, size, stride, 1, dilation, bias=bias).requires_grad_(False)


@settings(max_examples=40)
@given(convolutions(), st.sampled_from([1, 3]))
def test_moments_are_those_of_the_padded_outputs(conv, dw_size):
    batches = [torch.randn(2, conv.in_channels, 9, 8).cumsum(2) + 1 for _ in range(2)]
    moments = OutputMoments(conv.out_channels, conv.weight[0].numel(), dw_size)
    around = []
    for batch in batches:
        call = call_of(conv, (batch,))
        moments.add(call, conv(batch), draw_positions("", call.output_shape, 10**4))
        maps = conv(batch) if conv.bias is None else conv(batch) - conv.bias[:, None, None]
        taps = F.unfold(maps, dw_size, padding=dw_size // 2)
        taps = taps.view(len(maps), conv.out_channels, dw_size**2, -1)
        around.append(taps.permute(1, 2, 0, 3).flatten(2).double())
    z = torch.cat(around, 2)
    z = z - z.mean(2, keepdim=True)
    center = z[:, dw_size**2 // 2]
    covariance, cross = moments(slice(1, None))
    scale = float(z.square().mean())
    expected = (z[1:] @ z[1:].transpose(1, 2)) / z.shape[2]
    torch.testing.assert_close(covariance, expected, rtol=1e-3, atol=1e-4 * scale)
    expected = z[1:] @ center.T / z.shape[2]
    torch.testing.assert_close(cross.double(), expected, rtol=1e-3, atol=1e-4 * scale)
    torch.testing.assert_close(
        moments.variance.double(), center.square().mean(1), rtol=1e-3, atol=1e-4 * scale
    )


@pytest.mark.parametrize("inputs", [2, 9])
def test_an_output_is_its_own_ghost_without_error(inputs):
    conv, images = nn.Conv2d(inputs, 6, 1), torch.randn(4, inputs, 8, 8)
    moments = OutputMoments(6, inputs, 3)
    call = call_of(conv, (images,))
    with torch.no_grad():
        moments.add(call, conv(images), draw_positions("", call.output_shape, 100))
        errors = pair_errors(moments, moments.variance, 3)
    assert errors.diagonal().max() < 1e-4 * errors.max()
