import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostify.nn.layers import make_divisible


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(16, 16), (8, 8), (20.8, 20), (31.2, 32), (22, 24), (1, 4), (5.9, 8), (4.4, 4), (14, 16)],
)
def test_by_hand(channels, expected):
    assert make_divisible(channels) == expected


@given(st.floats(0.1, 5000), st.integers(1, 16))
def test_near_and_never_much_less(channels, divisor):
    found = make_divisible(channels, divisor)
    assert found % divisor == 0
    assert found >= max(divisor, 0.9 * channels)
    assert found <= channels + divisor


def test_timm_rounds_alike():
    helpers = pytest.importorskip("timm.layers", reason="timm is an extra")
    for tenths in range(1, 4000, 7):
        assert make_divisible(tenths / 10) == helpers.make_divisible(tenths / 10, 4)
