"""What all GhostNets share: a stem, bottlenecks in stages, and a head."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from ghostify.layers.norm import ConvNorm
from ghostify.layers.widths import check_width, make_divisible
from ghostify.spec import GhostifyError
from ghostify.zoo.family.settings import HEAD, IMAGES, LAST, STAGES, STEM, UNATTENDED


class GhostNet(nn.Module):
    """A GhostNet that classifies: of version 1, 2 or 3, as its bottlenecks are.

    State dicts have the names of the authors' code and of timm's.

    Args:
        bottleneck: of which class; called as `GhostBottleneck` is.
        attend: whether all bottlenecks but the first two have attention.
        width: what all widths of the paper are multiplied by, and made divisible by 4.
        num_classes: outputs; with 0, the features before the classifier.
        in_channels: of the images.
        dropout: probability before the classifier.

    Attributes:
        pretrained_cfg: how the published networks see images, in timm's words.

    Shape:
        ``(N, in_channels, H, W) -> (N, num_classes)``, or ``(N, 1280)`` without classes.

    Raises:
        GhostifyError: if a number is out of range.
    """

    def __init__(
        self,
        bottleneck: Callable[..., nn.Module],
        width: float,
        *,
        attend: bool,
        num_classes: int,
        in_channels: int,
        dropout: float,
    ) -> None:
        super().__init__()
        _check(width, num_classes, in_channels, dropout)
        self.pretrained_cfg = {"input_size": (in_channels, 224, 224), **IMAGES}
        channels = make_divisible(STEM * width)
        self.conv_stem = nn.Conv2d(in_channels, channels, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = nn.ReLU(inplace=True)
        stages = []
        index = 0
        for settings in STAGES:
            stage = nn.Sequential()
            for block in settings:
                kernel_size, hidden, out, excite, stride = block.scaled(width)
                attended = attend and index >= UNATTENDED
                stage.append(
                    bottleneck(
                        channels, hidden, out, kernel_size, stride, excite=excite, attend=attended
                    )
                )
                channels = out
                index += 1
            stages.append(stage)
        last = make_divisible(LAST * width)
        self.blocks = nn.Sequential(*stages, nn.Sequential(ConvNorm(channels, last, relu=True)))
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.conv_head = nn.Conv2d(last, HEAD, 1)
        self.act2 = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(dropout)
        self.classifier = nn.Linear(HEAD, num_classes) if num_classes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        maps = self.blocks(self.act1(self.bn1(self.conv_stem(x))))
        features = self.act2(self.conv_head(self.global_pool(maps))).flatten(1)
        scores: Tensor = self.classifier(self.drop(features))
        return scores


def _check(width: float, num_classes: int, in_channels: int, dropout: float) -> None:
    check_width(width)
    if num_classes < 0:
        raise GhostifyError(f"num_classes (={num_classes}) must not be negative")
    if in_channels < 1:
        raise GhostifyError(f"in_channels (={in_channels}) must be at least 1")
    if not 0 <= dropout <= 1:
        raise GhostifyError(f"dropout (={dropout}) must be a probability")
