"""Errors of pairs of feature maps against least squares by NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ghostify.conversion.init import pair_errors as pair_errors_module
from ghostify.conversion.init.pair_errors import best_kernels, covariances, pair_errors


def drawn(seed, number, maps, targets, dw_size):
    """Correlated feature maps, and targets that mix them with noise."""
    torch.manual_seed(seed)
    z = torch.randn(maps, dw_size, dw_size, number) + torch.randn(maps, 1, 1, number) + 1
    mixed = torch.randn(targets, maps * dw_size**2) @ z.flatten(0, 2)
    return z, mixed / mixed.std(1, keepdim=True) + torch.randn(targets, number) / 3


def least_squares(z, y):
    """Kernel, bias and mean squared error."""
    x = np.column_stack([z.flatten(0, 1).T.double().numpy(), np.ones(z.shape[-1])])
    solution = np.linalg.lstsq(x, y.double().numpy(), rcond=None)[0]
    return solution[:-1], solution[-1], np.mean((y.double().numpy() - x @ solution) ** 2)


def chunked(z, y, size=17):
    return zip(z.split(size, -1), (y - y.mean(1, keepdim=True)).split(size, 1), strict=True)


@settings(max_examples=30)
@given(st.integers(2, 5), st.sampled_from([1, 3]), st.sampled_from([1, 2**26]), st.integers(0, 99))
def test_each_error_is_that_of_least_squares(maps, dw_size, memory, seed):
    z, y = drawn(seed, 60, maps, maps, dw_size)

    def moments(chosen):
        return covariances(chunked(z[chosen], y))[:2]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_errors_module, "_CANDIDATE_BYTES", memory)
        errors = pair_errors(moments, y.var(1, correction=0), dw_size)
    expected = [[least_squares(z[i], y[j])[2] for j in range(maps)] for i in range(maps)]
    assert errors.numpy() == pytest.approx(np.array(expected), rel=1e-3, abs=1e-4)


@given(st.sampled_from([1, 3]), st.integers(0, 99))
def test_each_kernel_is_that_of_least_squares(dw_size, seed):
    z, y = drawn(seed, 60, 3, 4, dw_size)
    sources = torch.tensor([0, 1, 2, 0])
    covariance, cross, _ = covariances(chunked(z, y), sources)
    kernels = best_kernels(covariance[sources], cross)
    for ghost, source in enumerate(sources):
        expected, _, _ = least_squares(z[source], y[ghost])
        assert kernels[ghost].numpy() == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_sums_of_pairs_are_those_of_all():
    z, y = drawn(0, 40, 3, 4, 3)
    sources = torch.tensor([2, 1, 0, 2])
    gram, cross, mean = covariances(chunked(z, y))
    paired = covariances(chunked(z, y), sources)
    torch.testing.assert_close(paired[0].float(), gram.float())
    torch.testing.assert_close(paired[1].float(), cross[sources, :, torch.arange(4)])
    torch.testing.assert_close(paired[2], mean)
    torch.testing.assert_close(mean.float(), z.flatten(1, 2).mean(2))


@pytest.mark.parametrize("level", [0.0, 1.0, 1e3])
def test_constant_feature_maps_explain_nothing(level):
    z, y = torch.full((2, 3, 3, 40), level), torch.randn(2, 40)
    covariance, cross, mean = covariances(chunked(z, y))
    errors = pair_errors(lambda _: (covariance, cross), y.var(1, correction=0), 3)
    torch.testing.assert_close(errors, y.var(1, correction=0).expand(2, 2))
    torch.testing.assert_close(mean.float(), z[..., 0].flatten(1))


def test_small_variations_around_a_large_mean():
    z, y = drawn(0, 60, 2, 2, 3)
    moments = covariances(chunked(z / 1e3 + 10, y))
    torch.testing.assert_close(
        pair_errors(lambda _: moments[:2], y.var(1, correction=0), 3),
        pair_errors(lambda _: covariances(chunked(z, y))[:2], y.var(1, correction=0), 3),
        rtol=1e-2,
        atol=1e-3,
    )
