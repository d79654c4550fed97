import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms._presets import ImageClassification

from ghostify import GhostifyError
from ghostify.data import Preprocessing, preprocessing_of
from ghostify.data.images import decode_file
from ghostify.data.preprocessing import Transform
from ghostify.types import ModelSource

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


def read(path, input_size, interpolation="bilinear", crop=1.0):
    """Pixels in [0, 1]."""
    channels = input_size[0]
    plain = Preprocessing((0.0,) * channels, (1.0,) * channels, interpolation, crop)
    transform = Transform(input_size, plain)
    return transform(decode_file(path, transform.mode))


@pytest.fixture
def photo(tmp_path):
    """Writes an image of noise with that width and height."""

    def write(width, height, name="photo.png", **options):
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name, **options)
        return tmp_path / name

    return write


@pytest.mark.parametrize("size", [(300, 400), (401, 233), (64, 64), (20, 500)])
@pytest.mark.parametrize("resize", [73, 64])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_as_torchvision_does_it(photo, size, resize, interpolation):
    path = photo(*size)
    theirs = ImageClassification(
        crop_size=64,
        resize_size=resize,
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
        interpolation=InterpolationMode(interpolation),
    )
    with Image.open(path) as image:
        expected = theirs(image)
    assert torch.equal(read(path, (3, 64, 64), interpolation, 64 / resize), expected)


@pytest.mark.parametrize("size", [(100, 40), (40, 100), (7, 9)])
def test_inputs_that_are_no_squares(photo, size):
    assert read(photo(*size), (3, 24, 48), "bicubic", 0.875).shape == (3, 24, 48)


def test_upright(tmp_path):
    image = Image.new("RGB", (16, 16))
    image.paste((255, 255, 255), (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees: the top becomes the right
    image.save(tmp_path / "x.png", exif=exif)
    picture = read(tmp_path / "x.png", (1, 16, 16), "bilinear", 1.0)
    assert picture[0, 0, 0] == 0
    assert picture[0, 15, 15] == 1


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1"])
@pytest.mark.parametrize("channels", [1, 3])
def test_modes_of_images(tmp_path, mode, channels):
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    Image.new(mode, (9, 9)).save(path)
    assert read(path, (channels, 8, 8), "bilinear", 1.0).shape == (channels, 8, 8)


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_scaled(tmp_path, channels):
    Image.fromarray(np.full((8, 8), 32896, np.uint16)).save(tmp_path / "x.png")
    picture = read(tmp_path / "x.png", (channels, 8, 8), "bilinear", 1.0)
    assert torch.equal(picture, torch.full((channels, 8, 8), 128 / 255))


def test_pixels_of_unknown_range(tmp_path):
    Image.fromarray(np.zeros((8, 8), np.float32)).save(tmp_path / "x.tif")
    with pytest.raises(ValueError, match="floating-point"):
        read(tmp_path / "x.tif", (1, 8, 8), "bilinear", 1.0)


def test_channels_that_no_image_has():
    with pytest.raises(GhostifyError, match="the model takes 12"):
        Transform((12, 8, 8), Preprocessing((0.0,) * 12, (1.0,) * 12))


def test_preprocessing_for_other_channels():
    with pytest.raises(GhostifyError, match=r"`mean` .* must have 3 values"):
        Transform((3, 8, 8), Preprocessing((0.0,), (1.0,)))
