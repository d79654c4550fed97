import pytest
from torch import nn

from ghostify import models
from ghostify.models.preprocessing import preprocessing_of
from ghostify.types import ModelSource, Preprocessing

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def declared(model=None, name="net.py:build", size=(3, 224, 224), **options):
    return preprocessing_of(model or nn.Identity(), ModelSource(name), input_size=size, **options)


def timm_like(**settings):
    net = nn.Identity()
    net.pretrained_cfg = {"mean": (0.5, 0.4, 0.3), "std": (0.3, 0.2, 0.1)} | settings
    return net


@pytest.mark.parametrize(
    ("name", "expected", "origin"),
    [
        ("resnet50", Preprocessing(MEAN, STD, "bilinear", 232), "torchvision IMAGENET1K_V2"),
        ("torchvision:alexnet", Preprocessing(MEAN, STD, "bilinear", 256), None),
        ("deeplabv3_resnet50", Preprocessing(MEAN, STD, "bilinear"), None),
        ("ssd300_vgg16", Preprocessing((0.0,) * 3, (1.0,) * 3, "bilinear"), None),
        ("net.py:resnet50", Preprocessing(MEAN, STD), "assumed"),
    ],
)
def test_what_the_name_says(name, expected, origin):
    found = declared(name=name)
    assert found == expected
    assert origin in (None, found.origin)


def test_the_weights_that_are_used():
    assert declared(name="resnet50", weights="IMAGENET1K_V1").resize == 256


def test_inputs_of_another_size_show_as_much():
    assert declared(name="resnet50", size=(3, 112, 112)).resize == 116


def test_what_timm_says():
    found = declared(timm_like(interpolation="bilinear", crop_pct=0.9, crop_mode="squash"))
    assert found == Preprocessing((0.5, 0.4, 0.3), (0.3, 0.2, 0.1), "bilinear", 248, "squash")
    assert declared(timm_like()).resize == 256


def test_a_network_of_timm():
    timm = pytest.importorskip("timm")
    found = declared(timm.create_model("resnet18"), "timm:resnet18")
    assert found == Preprocessing(MEAN, STD, "bicubic", 235)
    assert found.origin == "timm resnet18.a1_in1k"


def test_other_channels():
    found = declared(timm_like(), size=(1, 28, 28))
    assert found.mean == pytest.approx((0.4,))
    assert found.std == pytest.approx((0.2,))
    assert declared(size=(1, 28, 28)) == Preprocessing((0.5,), (0.5,))


def test_what_the_source_says_goes_first():
    own = Preprocessing((0.1,), (0.2,), resize=30)
    source = ModelSource("resnet50", preprocessing=own)
    assert preprocessing_of(timm_like(), source, input_size=(3, 28, 28)) is own


def test_build_records_it():
    _, source = models.build(ModelSource("resnet18"))
    assert source.preprocessing == Preprocessing(MEAN, STD, "bilinear", 256)
