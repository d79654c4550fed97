"""Refitted weights against ridge regression written out."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from ghostify.conversion.init.conv_call import call_of
from ghostify.conversion.init.ridge import refit
from ghostify.conversion.init.sample import Sampler, draw_positions


@st.composite
def layers(draw):
    groups = draw(st.sampled_from([1, 2, 4]))
    return nn.Conv2d(
        4,
        draw(st.sampled_from([4, 8])),
        draw(st.sampled_from([1, 3, (1, 2)])),
        draw(st.integers(1, 2)),
        padding=draw(st.integers(0, 1)),
        groups=groups,
        bias=False,
    )


def sample_of(conv, x, targets=None):
    """All positions, with the outputs as targets or others."""
    maps = conv(x).detach() if targets is None else targets
    positions = draw_positions("", (len(maps), *maps.shape[2:]), maps[:, 0].numel())
    sampler = Sampler(1, len(positions))
    sampler.add(call_of(conv, (x,)), positions, maps.transpose(0, 1).flatten(1))
    return sampler.sample()


def by_hand(conv, x, targets, ridge, intercept):
    """W0 + (P^T P + ridge t I)^-1 P^T (Y - P W0), group by group, in float64."""
    weight = conv.weight.detach().double()
    patches = F.unfold(x.double(), conv.kernel_size, 1, conv.padding, conv.stride)
    patches = patches.transpose(1, 2).flatten(0, 1)
    y = targets.double().permute(0, 2, 3, 1).flatten(0, 2)
    new = []
    for p, w, t in zip(
        patches.chunk(conv.groups, 1), weight.chunk(conv.groups), y.chunk(conv.groups, 1),
        strict=True,
    ):  # fmt: skip
        if intercept:
            p, t = p - p.mean(0), t - t.mean(0)
        gram = p.T @ p
        level = ridge * gram.diagonal().mean() * torch.eye(len(gram))
        old = w.flatten(1).T
        new.append((old + torch.linalg.solve(gram + level, p.T @ (t - p @ old))).T.view_as(w))
    return torch.cat(new)


@settings(max_examples=60)
@given(layers(), st.sampled_from([1e-2, 0.3]), st.booleans())
@torch.no_grad()
def test_equals_the_closed_form(conv, ridge, intercept):
    x = torch.randn(2, 4, 7, 6) + 1
    targets = torch.randn_like(conv(x))
    sample = sample_of(conv, x, targets)
    found = refit(sample, conv.weight, ridge, intercept=intercept)
    expected = by_hand(conv, x, targets, ridge, intercept).float()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@given(layers(), st.sampled_from([0.0, 1e-2]))
@torch.no_grad()
def test_a_constant_difference_changes_nothing(conv, ridge):
    x = torch.randn(2, 4, 7, 6)
    sample = sample_of(conv, x, conv(x) + torch.arange(conv.out_channels).view(-1, 1, 1))
    found = refit(sample, conv.weight, max(ridge, 1e-6))
    torch.testing.assert_close(found, conv.weight, rtol=1e-4, atol=1e-5)


@given(layers())
@torch.no_grad()
def test_an_infinite_ridge_gives_the_old_weights(conv):
    x = torch.randn(2, 4, 7, 6)
    sample = sample_of(conv, x, torch.randn_like(conv(x)))
    torch.testing.assert_close(refit(sample, conv.weight, 1e12), conv.weight.detach())


@torch.no_grad()
def test_without_ridge_the_weights_of_the_targets_are_found():
    conv, other = nn.Conv2d(4, 5, 3), nn.Conv2d(4, 5, 3)
    x = torch.randn(4, 4, 9, 9)
    found = refit(sample_of(conv, x, other(x)), conv.weight, 0.0)
    torch.testing.assert_close(found, other.weight.detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("level", [0.0, 0.1, 1.0, 1e3 / 3])
@torch.no_grad()
def test_dead_and_constant_inputs_change_nothing(level):
    conv = nn.Conv2d(4, 5, 3)
    x = torch.full((3, 4, 9, 9), level)
    found = refit(sample_of(conv, x, torch.randn(3, 5, 7, 7)), conv.weight, 1e-2)
    torch.testing.assert_close(found, conv.weight.detach())


@torch.no_grad()
def test_fewer_positions_than_weights():
    conv, x = nn.Conv2d(4, 5, 3), torch.randn(1, 4, 4, 4)
    targets = torch.randn(1, 5, 2, 2)
    found = refit(sample_of(conv, x, targets), conv.weight, 1e-2)
    torch.testing.assert_close(
        found, by_hand(conv, x, targets, 1e-2, True).float(), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("intercept", [True, False])
@torch.no_grad()
def test_fewer_positions_than_inputs(groups, intercept):
    conv = nn.Conv2d(4, 8, 3, padding=1, groups=groups, bias=False)
    x = torch.randn(1, 4, 3, 4) + 1
    targets = torch.randn_like(conv(x))
    found = refit(sample_of(conv, x, targets), conv.weight, 1e-2, intercept=intercept)
    expected = by_hand(conv, x, targets, 1e-2, intercept).float()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_ridge_is_chosen_for_other_images():
    torch.manual_seed(0)
    conv, other = nn.Conv2d(16, 5, 3), nn.Conv2d(16, 5, 3)
    x = torch.randn(8, 16, 7, 7)
    noise = 3 * torch.randn(8, 5, 5, 5)
    sample = sample_of(conv, x, conv(x) + noise)

    def missed(weight):
        return float((weight - conv.weight).square().mean())

    chosen = refit(sample, conv.weight)
    assert missed(chosen) < 0.2 * missed(refit(sample, conv.weight, 1e-2))
    exact = refit(sample_of(conv, torch.randn(60, 16, 7, 7), None), other.weight)
    torch.testing.assert_close(exact, conv.weight.detach(), rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_inputs_that_depend_on_each_other_are_solved_with_any_ridge():
    conv, x = nn.Conv2d(4, 5, 1), torch.randn(6, 4, 7, 7)
    x[:, 1] = x[:, 0]
    targets = torch.randn(6, 5, 7, 7)
    assert refit(sample_of(conv, x, targets), conv.weight).isfinite().all()
    assert refit(sample_of(conv, x, targets), conv.weight, 0.0).isfinite().all()


@pytest.mark.parametrize("positions", ["few", "many"])
@pytest.mark.parametrize("value", [0.0, 0.3, 1e4])
@torch.no_grad()
def test_inputs_that_never_change_change_no_weights(value, positions):
    """As with blank images, or after a layer of constant outputs. Rounding is no signal."""
    conv = nn.Conv2d(4, 4, 3 if positions == "few" else 1, bias=False)
    x = torch.full((4, 4, 4, 4), value) * torch.rand(4, 1, 1)
    x *= 1 + 1e-7 * torch.randn_like(x).sign()
    found = refit(sample_of(conv, x, torch.randn_like(conv(x))), conv.weight)
    torch.testing.assert_close(found, conv.weight, rtol=1e-2, atol=1e-2)
