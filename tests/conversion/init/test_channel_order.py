"""Orders of dropping against regression on every set of channels that is left."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ghostify.conversion.init.channel_order import Reader, channel_order

RIDGE = 1e-3


def regression_error(weight, covariance, kept):
    """Least error when ``(o, c, t)`` weights may only use the ``kept`` channels."""
    outputs, _, taps = weight.shape
    flat = weight.double().reshape(outputs, -1)
    covariance = covariance + RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance))
    places = [channel * taps + tap for channel in kept for tap in range(taps)]
    cross = covariance[places] @ flat.T
    solved = torch.linalg.solve(covariance[places][:, places], cross)
    return float((flat @ covariance @ flat.T).trace() - (cross * solved).sum())


def greedy(readers):
    left, order, increases = list(range(readers[0].weight.shape[1])), [], []
    while len(left) > 1:
        errors = [
            sum(
                regression_error(r.weight, r.covariance, [c for c in left if c != dropped])
                for r in readers
            )
            for dropped in left
        ]
        place = min(range(len(left)), key=errors.__getitem__)
        order.append(left.pop(place))
        increases.append(errors[place])
    return (*order, left[0]), increases


@st.composite
def readers_of_some_channels(draw):
    channels = draw(st.integers(2, 20))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    readers = []
    for _ in range(draw(st.integers(1, 2))):
        outputs, taps = draw(st.integers(1, 12)), draw(st.sampled_from([1, 4]))
        size = channels * taps
        mixed = torch.randn(3 * size, size, generator=generator, dtype=torch.float64)
        mixed = mixed @ torch.randn(size, size, generator=generator, dtype=torch.float64)
        weight = torch.randn(outputs, channels, taps, generator=generator)
        readers.append(Reader(weight, mixed.T @ mixed / len(mixed)))
    return readers


@settings(max_examples=40)
@given(readers_of_some_channels())
def test_each_step_drops_what_regression_misses_least(readers):
    order, increases = greedy(readers)
    copies = [Reader(reader.weight, reader.covariance.clone()) for reader in readers]
    found, costs = channel_order(copies)
    assert found == order
    assert costs == pytest.approx(increases, rel=1e-6)


@pytest.mark.parametrize("taps", [1, 4])
def test_many_channels_are_dropped_in_rounds(taps):
    """Candidates of a round may miss a cheaper channel, but costs are those of regression."""
    size = 150 * taps
    mixed = torch.randn(2 * size, size) @ torch.randn(size, size)
    covariance = (mixed.T @ mixed).double() / len(mixed)
    weight = torch.randn(20, 150, taps)
    order, increases = channel_order([Reader(weight, covariance.clone())])
    assert sorted(order) == list(range(150))
    for dropped in (1, 40, 75, 120, 149):
        error = regression_error(weight, covariance, order[dropped:])
        assert increases[dropped - 1] == pytest.approx(error, rel=1e-6)
    first = [regression_error(weight, covariance, {*range(150)} - {c}) for c in range(150)]
    assert order[0] == min(range(150), key=first.__getitem__)


def test_a_copy_of_a_channel_costs_nothing_and_one_that_nothing_reads_neither():
    x = torch.randn(500, 4, dtype=torch.float64)
    x[:, 2] = x[:, 0]
    weight = torch.randn(6, 4, 1)
    weight[:, 3] = 0
    order, increases = channel_order([Reader(weight, x.T @ x / len(x))])
    assert set(order[:2]) in ({0, 3}, {2, 3})
    assert increases[1] < 1e-2 * increases[2]


def test_weights_of_zeros_cost_nothing():
    _, increases = channel_order([Reader(torch.zeros(9, 4, 1), torch.eye(4).double())])
    assert set(increases) == {0.0}


def test_one_channel_has_nothing_to_drop():
    assert channel_order([Reader(torch.ones(2, 1, 1), torch.eye(1).double())]) == ((0,), ())
