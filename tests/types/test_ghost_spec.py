import math

import pytest

from ghostify import GhostifyError, GhostSpec


@pytest.mark.parametrize("ratio", [1, 0.5, 0, -2, math.nan, math.inf, 10**400, True, "2", None])
def test_ratio_out_of_range(ratio):
    with pytest.raises(GhostifyError, match="ratio"):
        GhostSpec(ratio, 3)


@pytest.mark.parametrize("dw_size", [0, 2, 4, -1, 3.0, True, "3"])
def test_kernel_out_of_range(dw_size):
    with pytest.raises(GhostifyError, match="dw_size"):
        GhostSpec(2, dw_size)


@pytest.mark.parametrize(
    ("ratio", "outputs", "intrinsic"),
    [(2, 64, 32), (2, 5, 3), (3, 64, 22), (1.5, 6, 4), (1.14, 57, 50)],
)
def test_intrinsic_maps_are_rounded_up(ratio, outputs, intrinsic):
    assert GhostSpec(ratio).intrinsic(outputs) == intrinsic


def test_the_papers_setting_is_the_default():
    assert GhostSpec() == GhostSpec(ratio=2, dw_size=3)
