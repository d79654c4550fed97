import pytest
from torch import nn

from ghostify import GhostifyError, ModelSource
from ghostify.data import Preprocessing, preprocessing_of

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def normalized(mean, std):
    return ModelSource("x", normalization=(mean, std))


def timm_like(**settings):
    net = nn.Identity()
    net.pretrained_cfg = {"mean": (0.5, 0.4, 0.3), "std": (0.3, 0.2, 0.1)} | settings
    return net


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet50", Preprocessing(MEAN, STD, "bilinear", 224 / 232)),
        ("torchvision:vit_h_14", Preprocessing(MEAN, STD, "bicubic", 1.0)),
        ("deeplabv3_resnet50", Preprocessing(MEAN, STD, "bilinear", 1.0)),
        ("ssd300_vgg16", Preprocessing((0.0,) * 3, (1.0,) * 3, "bilinear", 1.0)),
        ("net.py:resnet50", Preprocessing(MEAN, STD)),
    ],
)
def test_what_the_name_says(name, expected):
    assert preprocessing_of(nn.Identity(), ModelSource(name)) == expected


def test_every_network_of_torchvision_says_something_usable():
    from torchvision import models

    for name in models.list_models():
        found = preprocessing_of(nn.Identity(), ModelSource(name))
        assert 0 < found.crop <= 1
        assert len(found.mean) == len(found.std) == 3


def test_what_timm_says():
    said = preprocessing_of(timm_like(interpolation="bilinear", crop_pct=0.9))
    assert said == Preprocessing((0.5, 0.4, 0.3), (0.3, 0.2, 0.1), "bilinear", 0.9)
    assert preprocessing_of(timm_like()) == Preprocessing((0.5, 0.4, 0.3), said.std)


def test_a_network_of_timm():
    timm = pytest.importorskip("timm")
    said = preprocessing_of(timm.create_model("resnet18"), ModelSource("timm:resnet18"))
    assert said == Preprocessing(MEAN, STD, "bicubic", 0.95)


def test_other_channels():
    said = preprocessing_of(timm_like(), channels=1)
    assert said.mean == pytest.approx((0.4,))
    assert said.std == pytest.approx((0.2,))
    assert preprocessing_of(nn.Identity(), channels=2).mean == (0.5, 0.5)


def test_what_the_user_says_goes_first():
    library = timm_like(interpolation="bilinear", crop_pct=0.9)
    found = preprocessing_of(library, normalized((0.5,), (0.1, 0.2, 0.3)))
    assert found == Preprocessing((0.5,) * 3, (0.1, 0.2, 0.3), "bilinear", 0.9)


def test_numbers_for_other_channels():
    with pytest.raises(
        GhostifyError, match=r"`normalization` \(=\(0.1, 0.2\)\) must have 1 or 3 values"
    ):
        preprocessing_of(nn.Identity(), normalized((0.5,), (0.1, 0.2)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean": (0.0,)}, "must have as many values as mean"),
        ({"std": (1.0, 1.0, 0.0)}, "`std` .* must be above 0"),
        (
            {"interpolation": "nearest"},
            r"`interpolation` \(='nearest'\) must be bicubic or bilinear",
        ),
        ({"crop": 0.0}, r"`crop` \(=0.0\) must be above 0"),
        ({"crop": float("nan")}, r"`crop` \(=nan\)"),
    ],
)
def test_values_out_of_range(changes, message):
    values = {"mean": (0.0,) * 3, "std": (1.0,) * 3} | changes
    with pytest.raises(GhostifyError, match=message):
        Preprocessing(**values)
