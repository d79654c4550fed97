import pytest
from printed import agrees


@pytest.mark.parametrize(
    ("number", "printed", "expected"),
    [
        (7_634_602, "7.6M", True),
        (7_634_602, "7.63M", True),
        (7_634_602, "7.7M", False),
        (7_649_999, "7.6M", True),
        (7_650_001, "7.6M", False),
        (313_196_544, "313M", True),
        (313_500_001, "313M", False),
        (853_018, "0.85M", True),
        (2_151_023_360, "2.2G", True),
        (999, "1.0K", True),
    ],
)
def test_a_number_agrees_if_it_rounds_to_what_is_printed(number, printed, expected):
    assert agrees(number, printed) is expected
