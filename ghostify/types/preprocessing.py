"""How an image becomes the input of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from typing import Any

from ghostify.types.constraints import Pixels
from ghostify.types.errors import GhostifyError
from ghostify.types.serialization import Serializable

CROPS = ("center", "squash")
INTERPOLATIONS = ("bicubic", "bilinear", "lanczos", "nearest")

ASSUMED = "assumed"
"""Origin of a normalization that neither the model nor its library declares."""

ENLARGED = "enlarged from"
"""What is said of small images, before their size."""


@dataclass(frozen=True)
class Preprocessing(Serializable):
    """Resizing, center crop and normalization of an image.

    The image is resized to cover a box of the input's aspect ratio whose shorter side is
    ``resize``. Then the center is cropped to the size of the input.

    Attributes:
        mean: subtracted from pixels in [0, 1]: a value for each channel, or one for all.
        std: divides them: a value for each channel, or one for all.
        interpolation: ``bicubic``, ``bilinear``, ``lanczos`` or ``nearest``.
        resize: shorter side before the crop in pixels. Default: that of the input, so that images
            of its size are taken as they are.
        crop: ``center`` keeps the aspect ratio, ``squash`` resizes both sides to those of the box.
        origin: where the values come from, such as ``torchvision IMAGENET1K_V2``.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    resize: Pixels | None = None
    crop: str = "center"
    origin: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if 1 not in (len(self.mean), len(self.std)) and len(self.mean) != len(self.std):
            raise GhostifyError(f"`std` (={self.std}) must have as many values as mean, or one")
        if not (self.mean and all(map(isfinite, self.mean))):
            raise GhostifyError(f"`mean` (={self.mean}) must be finite")
        if not (self.std and all(0 < value < inf for value in self.std)):
            raise GhostifyError(f"`std` (={self.std}) must be above 0")
        for name, known in (("interpolation", INTERPOLATIONS), ("crop", CROPS)):
            if (value := getattr(self, name)) not in known:
                raise GhostifyError(f"`{name}` (={value!r}) must be {' or '.join(known)}")
        if self.resize is not None and self.resize < 1:
            raise GhostifyError(f"`resize` (={self.resize}) must be at least 1 pixel")

    def changed(self, options: Mapping[str, Any]) -> Preprocessing:
        """Return a copy with other values, by their names or as ``normalize="MEAN/STD"``.

        Values of None change nothing.

        Raises:
            GhostifyError: if a value is out of range, or ``normalize`` cannot be parsed.
        """
        values = {name: value for name, value in options.items() if value is not None}
        if not values:
            return self
        if "normalize" in values:
            values["mean"], values["std"] = _parse_normalization(values.pop("normalize"))
        known = [] if "mean" in values and self.origin == ASSUMED else [self.origin]
        return replace(self, **values, origin=", ".join(filter(None, [*known, "options"])))

    def scaled(self, old: tuple[int, ...], new: tuple[int, ...]) -> Preprocessing:
        """Return the same view of an image for inputs of another height and width."""
        if self.resize is None or old[1:] == new[1:]:
            return self
        return replace(self, resize=round(self.resize * min(new[1:]) / min(old[1:])))

    def describe(self, input_size: tuple[int, ...]) -> str:
        """Return one line: what is done to images for inputs ``(C, H, W)``."""
        size = "x".join(map(str, input_size[1:]))
        resized = f"resize {self.resize or min(input_size[1:])} ({self.interpolation})"
        if self.crop == "squash":
            resized = f"squash to {self.resize or size} ({self.interpolation})"
        return f"{resized}, center crop {size}, {self.describe_values()}"

    def describe_values(self) -> str:
        """Return the mean, the standard deviation and where they come from."""
        mean, std = (",".join(f"{v:g}" for v in values) for values in (self.mean, self.std))
        return f"mean {mean}, std {std} [{self.origin or 'given'}]"


def _parse_normalization(text: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    try:
        mean, std = (tuple(map(float, part.split(","))) for part in text.split("/"))
    except ValueError:
        mean = std = ()
    if not mean or not all(map(isfinite, mean)) or not all(0 < s < inf for s in std):
        raise GhostifyError(
            f"`normalize` (={text!r}) must be means and standard deviations such as 0.5/0.5 or "
            "0.485,0.456,0.406/0.229,0.224,0.225"
        )
    return mean, std
