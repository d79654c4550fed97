import pytest

from ghostify.types import GhostifyError, ModelSource, Preprocessing

OWN = Preprocessing((0.5,), (0.1, 0.2, 0.3), "bilinear", 232, origin="a library")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean": (0.0, 0.0)}, "must have as many values as mean, or one"),
        ({"mean": (float("nan"),)}, r"`mean` \(=\(nan,\)\) must be finite"),
        ({"std": (1.0, 1.0, 0.0)}, "`std` .* must be above 0"),
        ({"interpolation": "area"}, r"`interpolation` \(='area'\) must be bicubic or bilinear or"),
        ({"crop": "5"}, r"`crop` \(='5'\) must be center or squash"),
        ({"resize": 0}, r"`resize` \(=0\) must be at least 1"),
    ],
)
def test_values_out_of_range(changes, message):
    with pytest.raises(GhostifyError, match=message):
        Preprocessing(**{"mean": (0.0,) * 3, "std": (1.0,) * 3} | changes)


def test_it_is_kept_in_a_file():
    source = ModelSource("net.py:build", {}, (3, 224, 224), OWN)
    read = ModelSource.from_json(source.to_json())
    assert read == source
    assert read.preprocessing.origin == "a library"


def test_options_replace_values():
    found = OWN.changed({"normalize": "0/1", "crop": "squash", "resize": None})
    assert found == Preprocessing((0.0,), (1.0,), "bilinear", 232, "squash")
    assert found.origin == "a library, options"
    assert OWN.changed({"crop": None}) is OWN


@pytest.mark.parametrize("text", ["0.5", "0.5/0", "nan/1", "a/1", "/", "0.5/0.5/0.5"])
def test_a_normalization_that_is_none(text):
    with pytest.raises(GhostifyError, match="must be means and standard deviations such as"):
        OWN.changed({"normalize": text})


def test_inputs_of_another_size_show_as_much():
    assert (
        ModelSource("x", {}, (3, 224, 224), OWN).resized((3, 112, 112)).preprocessing.resize == 116
    )
    assert ModelSource("x").resized((3, 8, 8)).input_size == (3, 8, 8)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (OWN, "resize 232 (bilinear), center crop 224x224, mean 0.5, std 0.1,0.2,0.3 [a library]"),
        (
            Preprocessing((0.5,), (0.5,), crop="squash"),
            "squash to 224x224 (bicubic), center crop 224x224, mean 0.5, std 0.5 [given]",
        ),
    ],
)
def test_one_line(found, text):
    assert found.describe((3, 224, 224)) == text
