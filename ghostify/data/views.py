"""A picture as a network sees it."""

from __future__ import annotations

from PIL import Image
from torch import Tensor, nn, tensor
from torchvision.transforms import InterpolationMode, v2

from ghostify.data.preprocessing import Preprocessing
from ghostify.data.transforms import centre, mode_of, pixels
from ghostify.types import Augmentation

_OPERATIONS = 2  # of RandAugment


class View:
    """From a picture to an input ``(C, H, W)``, normalised.

    With an augmentation it draws from torch's generator of random numbers.

    Args:
        input_size: ``(C, H, W)``.
        preprocessing: what the network was trained to see.
        augmentation: what is done at random before; mixing pictures is not done here.

    Raises:
        GhostifyError: if no picture has so many channels.
    """

    def __init__(
        self,
        input_size: tuple[int, ...],
        preprocessing: Preprocessing,
        augmentation: Augmentation = Augmentation(),  # noqa: B008  # frozen
    ) -> None:
        self.mode = mode_of(input_size[0])
        self.size = input_size[1:]
        self.preprocessing = preprocessing
        self._mean = tensor(preprocessing.mean).view(-1, 1, 1)
        self._std = tensor(preprocessing.std).view(-1, 1, 1)
        self._crop = _random_crop(self.size, preprocessing, augmentation)
        steps: list[nn.Module] = []
        if augmentation.flip:
            steps.append(v2.RandomHorizontalFlip())
        if augmentation.randaugment:
            steps.append(v2.RandAugment(_OPERATIONS, augmentation.randaugment))
        self._steps = steps

    def __call__(self, image: Image.Image) -> Tensor:
        ways = self.preprocessing
        if self._crop is not None:
            image = self._crop(image)
        else:
            image = centre(image, self.size, ways.interpolation, ways.crop)
        for step in self._steps:
            image = step(image)
        return pixels(image).sub_(self._mean).div_(self._std)


def _random_crop(
    size: tuple[int, ...], preprocessing: Preprocessing, augmentation: Augmentation
) -> nn.Module | None:
    if augmentation.crop_scale == 1:
        return None
    interpolation = InterpolationMode(preprocessing.interpolation)
    scale = (augmentation.crop_scale, 1.0)
    crop: nn.Module = v2.RandomResizedCrop(list(size), scale, interpolation=interpolation)
    return crop
