"""A small network for digits."""

from torch import Tensor, nn


class Digits(nn.Module):
    """Four convolutions for digits of 28x28 pixels."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs, stride in [(1, 1, 1), (1, 2, 2), (2, 4, 2), (4, 4, 1)]:
            channels = inputs * width if layers else 1
            layers += [
                nn.Conv2d(channels, outputs * width, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(outputs * width),
                nn.ReLU(),
            ]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(4 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


def build() -> nn.Module:
    """Build the network with random weights."""
    return Digits()
