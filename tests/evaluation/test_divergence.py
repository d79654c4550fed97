import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from ghostify.evaluation.divergence import decisions, divergence, logits_of
from ghostify.types import Output


def test_two_coins():
    # p = (1/2, 1/2), q = (1/4, 3/4): KL = ln 2 - ln(3) / 2
    logits = torch.tensor([[0.25, 0.75]]).log()
    expected = [pytest.approx(math.log(2) - math.log(3) / 2)]
    assert divergence(logits, torch.zeros(1, 2), "classes").tolist() == expected


def test_the_divergence_of_labels_is_that_of_all_coins():
    """Each label is a coin of 1/2 against one of 3/4, whose logit is ln 3."""
    one = divergence(torch.tensor([[0.25, 0.75]]).log(), torch.zeros(1, 2), "classes")
    logits = torch.full((1, 3), math.log(3))
    assert divergence(logits, torch.zeros(1, 3), "multilabel").tolist() == pytest.approx(
        [3 * float(one)]
    )


@pytest.mark.parametrize("shape", [(4, 10), (2, 5, 3, 4)])
def test_a_temperature_softens_both_and_keeps_the_size_of_gradients(shape):
    logits, taught = torch.randn(shape), torch.randn(shape)
    log_q, p = (logits / 3).log_softmax(1), (taught / 3).softmax(1)
    expected = 9 * F.kl_div(log_q, p, reduction="none").sum(1)
    torch.testing.assert_close(divergence(logits, taught, "classes", 3), expected)


def test_classes_at_minus_infinity_are_ignored():
    taught = torch.tensor([[0.0, 0.0, -torch.inf]])
    logits = torch.zeros(1, 3, requires_grad=True)
    found = divergence(logits, taught, "classes").sum()
    found.backward()
    assert found.item() == pytest.approx(math.log(3) - math.log(2))
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(("kind", "apply"), [("classes", "softmax"), ("multilabel", "sigmoid")])
def test_probabilities_have_the_divergence_of_their_logits(kind, apply):
    logits, taught = torch.randn(5, 4), torch.randn(5, 4)
    output = Output(kind, "", 4, probabilities=True)
    own, other = (
        logits_of(x.softmax(1) if apply == "softmax" else x.sigmoid(), output)
        for x in (logits, taught)
    )
    torch.testing.assert_close(divergence(own, other, kind), divergence(logits, taught, kind))
    assert torch.equal(decisions(own, kind), decisions(logits, kind))


def test_logits_stay_as_they_are():
    logits = torch.randn(3, 4)
    assert logits_of(logits, Output("classes", "", 4)) is logits
    assert logits_of(torch.zeros(3), Output("multilabel", "")).shape == (3, 1)


@given(st.integers(0, 2**31), st.floats(-50, 50), st.sampled_from(["classes", "multilabel"]))
def test_it_is_never_negative_and_ignores_a_shift_of_classes_alone(seed, shift, kind):
    generator = torch.Generator().manual_seed(seed)
    logits, taught = (torch.randn(3, 4, generator=generator).double() * 5 for _ in range(2))
    found = divergence(logits, taught, kind)
    assert (found >= -1e-9).all()
    torch.testing.assert_close(divergence(taught, taught, kind), torch.zeros(3).double())
    if kind == "classes":
        torch.testing.assert_close(divergence(logits + shift, taught, kind), found)
