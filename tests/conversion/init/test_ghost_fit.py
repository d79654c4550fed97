"""Fitted Ghost modules against the outputs of the module."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from ghostify import GhostModule
from ghostify.conversion.init import finetune as finetune_module
from ghostify.conversion.init.conv_call import call_of
from ghostify.conversion.init.finetune import finetune
from ghostify.conversion.init.ghost_fit import fit_to_sample
from ghostify.conversion.init.sample import Sampler, draw_positions


def sample_of(conv, x, targets, dw_size):
    """What filters read at all positions, and around them."""
    positions = draw_positions("", (len(x), *targets.shape[2:]), targets[:, 0].numel())
    samplers = Sampler(1, len(positions)), Sampler(dw_size, len(positions))
    for sampler in samplers:
        sampler.add(call_of(conv, (x,)), positions, targets.transpose(0, 1).flatten(1))
    return [sampler.sample() for sampler in samplers]


@st.composite
def problems(draw):
    """A convolution, its input, and its outputs with noise and a constant as targets."""
    torch.manual_seed(draw(st.integers(0, 99)))
    outputs, dw_size = draw(st.integers(4, 9)), draw(st.sampled_from([1, 3]))
    conv = nn.Conv2d(
        3,
        outputs,
        draw(st.sampled_from([1, 3])),
        draw(st.integers(1, 2)),
        draw(st.integers(0, 1)),
        bias=draw(st.booleans()),
    ).requires_grad_(False)
    x = torch.randn(2, 3, 9, 8).cumsum(2) + 1
    targets = conv(x) + torch.randn_like(conv(x)) / 10 + torch.randn(outputs, 1, 1)
    ghost = GhostModule(
        3, outputs, conv.kernel_size, conv.stride, conv.padding,
        bias=conv.bias is not None, ratio=draw(st.sampled_from([1.5, 2, 4])), dw_size=dw_size,
    )  # fmt: skip
    return conv, ghost, x, targets


def fitted_to(conv, ghost, x, targets, steps=0, bias_before_ghosts=True):
    samples = sample_of(conv, x, targets, ghost.dw_size)
    fitted = fit_to_sample(
        *samples,
        conv.weight,
        torch.linspace(1, 2, len(conv.weight)),
        ghost.primary_conv[0].out_channels,
        bias_before_ghosts=bias_before_ghosts,
    )
    if steps:
        finetune(fitted, samples[1], steps)
    return fitted


@settings(max_examples=40)
@given(problems(), st.booleans(), st.sampled_from([0, 3]))
@torch.no_grad()
def test_errors_are_those_of_the_module(problem, bias_before_ghosts, steps):
    conv, ghost, x, targets = problem
    bias_before_ghosts = bias_before_ghosts or conv.bias is not None
    fitted = fitted_to(*problem, steps=steps, bias_before_ghosts=bias_before_ghosts)
    constants = fitted.write(ghost, conv, refitted=True)
    assert (constants is None) == bias_before_ghosts
    out = ghost(x) if constants is None else ghost(x) + constants.view(-1, 1, 1)
    wrong = (out - targets).square().mean((0, 2, 3))
    torch.testing.assert_close(wrong, fitted.error.float(), rtol=1e-2, atol=1e-4)
    variance = targets.var((0, 2, 3), correction=0)
    torch.testing.assert_close(variance, fitted.variance.float(), rtol=1e-3, atol=1e-5)
    importance = torch.linspace(1, 2, len(variance))
    residual = (importance * wrong).sum() / (importance * variance).sum()
    assert fitted.residual == pytest.approx(float(residual), rel=1e-2, abs=1e-4)


@settings(max_examples=20)
@given(problems())
@torch.no_grad()
def test_no_other_kernel_or_bias_is_better(problem):
    conv, ghost, x, targets = problem
    fitted = fitted_to(*problem)
    fitted.write(ghost, conv, refitted=True)
    cheap = ghost.cheap_operation[0]
    best = (ghost(x) - targets).square().mean()
    for parameter in (cheap.weight, *([] if cheap.bias is None else [cheap.bias])):
        old = parameter.clone()
        for _ in range(5):
            parameter.copy_(old + torch.randn_like(old) / 100)
            assert (ghost(x) - targets).square().mean() >= best - 1e-6
        parameter.copy_(old)


@settings(max_examples=10)
@given(problems())
@torch.no_grad()
def test_finetune_steps_never_harm(problem):
    before, after = (fitted_to(*problem, steps=steps) for steps in (0, 5))
    assert after.residual <= before.residual
    assert not any(
        p.requires_grad
        for p in (after.weight, after.kernel, after.intrinsic_bias, after.ghost_bias)
    )


def test_steps_that_do_not_help_are_reverted(monkeypatch):
    monkeypatch.setattr(finetune_module, "_LR", 1e3)
    conv, x = nn.Conv2d(3, 6, 3).requires_grad_(False), torch.randn(2, 3, 8, 8)
    problem = conv, GhostModule(3, 6, 3), x, conv(x) + torch.randn(2, 6, 6, 6)
    before, after = (fitted_to(*problem, steps=steps) for steps in (0, 3))
    assert after.residual == before.residual
    for name in ("weight", "kernel", "intrinsic_bias", "ghost_bias"):
        assert torch.equal(getattr(after, name), getattr(before, name))


@torch.no_grad()
def test_important_outputs_are_intrinsic():
    """The two important of four unrelated outputs stay intrinsic."""
    conv, x = nn.Conv2d(4, 4, 1, bias=False), torch.randn(2, 4, 9, 9)
    conv.weight.copy_(torch.eye(4)[:, :, None, None])
    samples = sample_of(conv, x, conv(x), 3)
    importance = torch.tensor([1.0, 5.0, 1.0, 5.0])
    fitted = fit_to_sample(*samples, conv.weight, importance, 2, bias_before_ghosts=True)
    assert sorted(fitted.assignment.intrinsic) == [1, 3]
    assert fitted.error[[1, 3]].max() < 1e-9 < 0.5 < fitted.error[[0, 2]].min()


@torch.no_grad()
def test_a_constant_target_is_a_bias():
    conv, x = nn.Conv2d(3, 4, 1), torch.randn(2, 3, 5, 5)
    targets = conv(x)
    targets[:, 2] = 7
    samples = sample_of(conv, x, targets, 3)
    fitted = fit_to_sample(*samples, conv.weight, torch.ones(4), 2, bias_before_ghosts=True)
    assert fitted.error[2] < 1e-6
    ghost = GhostModule(3, 4, 1, dw_size=3)
    fitted.write(ghost, conv, refitted=True)
    assert F.mse_loss(ghost(x)[:, 2], targets[:, 2]) < 1e-6
