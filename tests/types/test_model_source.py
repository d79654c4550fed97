import pytest

from ghostify import GhostifyError
from ghostify.types import ModelSource


def test_parse_reads_each_string():
    source = ModelSource.parse(
        "net.py:build",
        "1x28X28",
        ["width=0.5", 'act="silu"', "norm=batch", "bias=False", "tail=None", "sizes=[1, 2]"],
    )
    assert source == ModelSource(
        "net.py:build",
        {
            "width": 0.5,
            "act": "silu",
            "norm": "batch",
            "bias": False,
            "tail": None,
            "sizes": [1, 2],
        },
        (1, 28, 28),
    )
    assert ModelSource.parse("resnet50") == ModelSource("resnet50")


@pytest.mark.parametrize(
    ("strings", "message"),
    [
        ({"input": "3x0x3"}, r"input \(='3x0x3'\) must be a shape such as 3x224x224"),
        ({"input": "rgb"}, "input .* must be a shape"),
        ({"arguments": ["classes"]}, r"model argument \(='classes'\) must be KEY=VALUE"),
        ({"arguments": ["2=3"]}, "must be KEY=VALUE"),
    ],
)
def test_parse_rejects_other_strings(strings, message):
    with pytest.raises(GhostifyError, match=message):
        ModelSource.parse("resnet50", **strings)
