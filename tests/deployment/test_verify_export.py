"""Errors of outputs, and the inputs they are measured on."""

import math

import pytest
import torch
from torch import nn

from ghostify import GhostifyError
from ghostify.deployment.verify_export import Errors, output_errors, probes, verify

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("found", "expected", "errors"),
    [
        ([1.0, 2.0], [1.0, 2.0], (0, 0)),
        ([1.0, 2.5], [1.0, 2.0], (0.5, 0.25)),
        ([1.0, -4.5], [1.0, -4.0], (0.5, 0.125)),
        ([0.0], [0.0], (0, 0)),
        ([0.5], [0.0], (0.5, INF)),
        ([1.0, NAN], [1.0, NAN], (0, 0)),
        ([1.0, 2.0], [1.0, NAN], (INF, INF)),
        ([1.0, NAN], [1.0, 2.0], (INF, INF)),
        ([INF], [INF], (0, 0)),
        ([INF], [-INF], (INF, INF)),
        ([], [], (0, 0)),
    ],
)
def test_by_hand(found, expected, errors):
    assert output_errors(torch.tensor(found), torch.tensor(expected)) == Errors(*errors)


def test_whole_numbers_and_truths():
    assert output_errors(torch.tensor([3, 4]), torch.tensor([3, 5])) == Errors(1, 0.2)
    assert output_errors(torch.tensor([True]), torch.tensor([False])) == Errors(1, INF)


def test_the_worst_leaf_of_the_worst_input_counts():
    model = nn.ModuleDict()
    model.forward = lambda x: {"a": x, "b": [10 * x]}
    inputs = [torch.ones(1, 2), torch.full((1, 2), 4.0)]
    errors = verify(model, lambda tensors: [tensors[0] + 1e-4, 10 * tensors[0] + 2e-4], inputs)
    assert errors.absolute == pytest.approx(2e-4, rel=1e-2)
    assert errors.relative == pytest.approx(1e-4, rel=1e-2)


@pytest.mark.parametrize(
    ("session", "message"),
    [
        (
            lambda tensors: [2 * tensors[0]],
            "outputs differ by 100.00% on an input of 1x2",
        ),
        (lambda tensors: [], r"outputs are \[\] instead of \[\(1, 2\)\]"),
        (lambda tensors: [tensors[0][:, :1]], r"outputs are \[\(1, 1\)\] instead of"),
        (lambda tensors: [tensors[0] * NAN], "outputs differ by inf%"),
    ],
)
def test_outputs_that_differ(session, message):
    with pytest.raises(GhostifyError, match=message):
        verify(nn.Identity(), session, [torch.ones(1, 2)])


@pytest.mark.parametrize(
    ("scale", "error", "accepted"),
    [(1, 0.9e-3, True), (1, 1.1e-3, False), (1e-4, 9e-3, True), (1e-4, 2e-2, False)],
)
def test_what_counts_as_rounding(scale, error, accepted):
    """A thousandth of the largest value, or a millionth in all."""
    values = scale * torch.tensor([[1.0, 0.5]])
    try:
        verify(nn.Identity(), lambda tensors: [tensors[0] * (1 + error)], [values])
        assert accepted
    except GhostifyError:
        assert not accepted


def test_probes_differ_and_have_other_sizes():
    example = (torch.zeros(2, 3, 4), torch.tensor([[5, 6], [7, 8]]), torch.tensor(3.0), "text")
    first, single, five = probes(example, any_batch=True)
    assert first is example
    assert (single[0].shape, five[0].shape) == ((1, 3, 4), (5, 3, 4))
    assert (single[1].shape, five[1].shape) == ((1, 2), (5, 2))
    assert set(five[1].flatten().tolist()) <= {5, 6, 7, 8}
    assert single[0].std() > 0.1
    assert not torch.equal(five[0][0], single[0][0])
    assert five[2:] == (torch.tensor(3.0), "text")
    assert [probe[0].shape[0] for probe in probes(example, any_batch=False)] == [2, 2, 2]


def test_probes_have_the_examples_spread():
    example = 100 + 10 * torch.randn(1, 3, 64, 64)
    values = probes(example, any_batch=True)[2]
    assert values.mean() == pytest.approx(100, abs=1)
    assert values.std() == pytest.approx(10, abs=0.5)
