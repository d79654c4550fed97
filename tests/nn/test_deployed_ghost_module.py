"""A deployed Ghost module equals the module and the BatchNorm behind it."""

from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ghostify import GhostModule
from ghostify.nn import Affine, DeployedGhostModule


def random_norm(channels, dtype=torch.float32):
    """A batch norm that has seen data; some of its channels are off."""
    norm = nn.BatchNorm2d(channels, dtype=dtype).eval().requires_grad_(False)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.1, 3)
    norm.weight.normal_()[:: max(2, channels // 3)] = 0
    norm.bias.normal_()
    return norm


geometries = st.fixed_dictionaries(
    {
        "in_channels": st.integers(1, 5),
        "out_channels": st.integers(2, 17),
        "kernel_size": st.sampled_from([1, 2, 3, (1, 3)]),
        "stride": st.integers(1, 3),
        "padding": st.integers(0, 2),
        "bias": st.booleans(),
        "ratio": st.sampled_from([1.5, 2, 3, 4]),
        "dw_size": st.sampled_from([1, 3, 5]),
    }
)


def same(a, b):
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9 * float(b.abs().max() + 1))


@settings(max_examples=80)
@given(geometries, st.booleans(), st.booleans(), st.booleans(), st.integers(0, 1000))
def test_it_does_what_module_and_batch_norm_did(numbers, with_norm, ordered, exported, seed):
    torch.manual_seed(seed)
    if numbers["out_channels"] == -(-numbers["out_channels"] // numbers["ratio"]):
        return
    ghost = GhostModule(**numbers, dtype=torch.float64).eval().requires_grad_(False)
    if ordered:
        ghost.order = torch.randperm(ghost.out_channels)
    norm = random_norm(ghost.out_channels, torch.float64) if with_norm else nn.Identity()
    x = torch.randn(2, ghost.in_channels, 7, 6, dtype=torch.float64)
    expected = norm(ghost(x))
    form = DeployedGhostModule.from_module(ghost, Affine.from_norm(norm) if with_norm else None)
    with patch("torch.compiler.is_exporting", return_value=exported):
        same(form(x), expected)


def test_maps_with_no_batch_dimension():
    ghost = GhostModule(3, 6, 3, padding=1, dw_size=1).eval()
    x = torch.randn(3, 8, 8)
    torch.testing.assert_close(DeployedGhostModule.from_module(ghost)(x), ghost(x))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_memory_format_stays(memory_format):
    ghost = GhostModule(3, 8, 3).eval()
    ghost.order = torch.randperm(8)
    form = DeployedGhostModule.from_module(ghost).to(memory_format=memory_format)
    x = torch.randn(2, 3, 9, 9).to(memory_format=memory_format)
    assert form(x).is_contiguous(memory_format=memory_format)


def test_no_map_of_the_padding_is_shifted():
    """By hand: an intrinsic map of 1 shifted by 10, and a ghost that sums 3x3 of the unshifted."""
    ghost = GhostModule(1, 2, 1, bias=False).requires_grad_(False).eval()
    ghost.primary_conv[0].weight.fill_(1)
    ghost.cheap_operation[0].weight.fill_(1)
    shift = Affine(torch.ones(2).double(), torch.tensor([10, 0]).double())
    form = DeployedGhostModule.from_module(ghost, shift)
    intrinsic, sums = form(torch.ones(1, 1, 3, 3))[0]
    assert (intrinsic == 11).all()
    assert sums.tolist() == [[4, 6, 4], [6, 9, 6], [4, 6, 4]]
