import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms._presets import ImageClassification

from ghostify import GhostifyError
from ghostify.data.images import decode_file
from ghostify.data.transform import Transform
from ghostify.types import Preprocessing


def read(path, input_size, interpolation="bilinear", resize=None, crop="center"):
    """Pixels in [0, 1]."""
    plain = Preprocessing((0.0,), (1.0,), interpolation, resize, crop)
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
    assert torch.equal(read(path, (3, 64, 64), interpolation, resize), expected)


@pytest.mark.parametrize("size", [(100, 40), (40, 100), (7, 9)])
def test_inputs_that_are_no_squares(photo, size):
    assert read(photo(*size), (3, 24, 48), "bicubic", 27).shape == (3, 24, 48)


@pytest.mark.parametrize("size", [(64, 64), (300, 200), (20, 500)])
@pytest.mark.parametrize(("mode", "crop_pct"), [("center", 0.95), ("center", 1.0), ("squash", 0.9)])
def test_as_timm_does_it(photo, size, mode, crop_pct):
    from timm.data.transforms_factory import transforms_imagenet_eval

    path = photo(*size)
    theirs = transforms_imagenet_eval(
        64, crop_pct=crop_pct, crop_mode=mode, interpolation="bicubic", mean=(0,) * 3, std=(1,) * 3
    )
    with Image.open(path) as image:
        expected = theirs(image)
    assert torch.equal(read(path, (3, 64, 64), "bicubic", int(64 / crop_pct), mode), expected)


def test_images_of_the_inputs_size_are_taken_as_they_are(photo):
    path = photo(48, 24)
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.asarray(image) / 255).permute(2, 0, 1).float()
    assert torch.equal(read(path, (3, 24, 48)), pixels)


def test_a_resize_that_is_too_small():
    with pytest.raises(GhostifyError, match=r"`resize` \(=7\) must be at least .* shorter side, 8"):
        Transform((3, 8, 9), Preprocessing((0.0,), (1.0,), resize=7))


def test_upright(tmp_path):
    image = Image.new("RGB", (16, 16))
    image.paste((255, 255, 255), (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees: the top becomes the right
    image.save(tmp_path / "x.png", exif=exif)
    picture = read(tmp_path / "x.png", (1, 16, 16), "bilinear")
    assert picture[0, 0, 0] == 0
    assert picture[0, 15, 15] == 1


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1"])
@pytest.mark.parametrize("channels", [1, 3])
def test_modes_of_images(tmp_path, mode, channels):
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    Image.new(mode, (9, 9)).save(path)
    assert read(path, (channels, 8, 8), "bilinear").shape == (channels, 8, 8)


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_scaled(tmp_path, channels):
    Image.fromarray(np.full((8, 8), 32896, np.uint16)).save(tmp_path / "x.png")
    picture = read(tmp_path / "x.png", (channels, 8, 8), "bilinear")
    assert torch.equal(picture, torch.full((channels, 8, 8), 128 / 255))


def test_pixels_of_unknown_range(tmp_path):
    Image.fromarray(np.zeros((8, 8), np.float32)).save(tmp_path / "x.tif")
    with pytest.raises(ValueError, match="floating-point"):
        read(tmp_path / "x.tif", (1, 8, 8), "bilinear")


def test_channels_that_no_image_has():
    with pytest.raises(GhostifyError, match="the model takes 12"):
        Transform((12, 8, 8), Preprocessing((0.0,) * 12, (1.0,) * 12))


def test_preprocessing_for_other_channels():
    with pytest.raises(GhostifyError, match=r"`std` .* must have 1 or 3 values"):
        Transform((3, 8, 8), Preprocessing((0.0,), (1.0, 1.0)))
