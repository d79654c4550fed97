import pytest

import ghostify
from ghostify import GhostSpec, Plan
from ghostify.types import ConvSite, Decision, Geometry, Region


@pytest.fixture
def sites(small_net, image):
    return ghostify.analyze(small_net, image)


def conv(name, inputs, outputs, size, groups=1, **found):
    geometry = Geometry(
        in_channels=inputs, out_channels=outputs, kernel_size=(size, size), stride=(1, 1),
        padding=(size // 2,) * 2, dilation=(1, 1), groups=groups, bias=False, padding_mode="zeros",
    )  # fmt: skip
    return ConvSite(
        name=name, type="Conv2d", geometry=geometry, output=(8, 8), calls=1, positions=64,
        seen="graph", **found,
    )  # fmt: skip


@pytest.fixture
def pruned_plan():
    """A stem, and an inverted residual block: ``a``, depthwise ``dw``, ``b`` and ``c``.

    ``a`` has 20 of 64 channels and 20 ghosts left, ``b`` 24 of 32.
    """
    a = Region(channelwise=("norm", "dw"), readers={"b": 1}, params=2)
    added, depthwise = "added to other feature maps", "depthwise"
    stem = conv("stem", 3, 16, 3, stem=True, region=Region(readers={"a": 1}))
    return Plan((
        Decision(stem, keep="first convolution (stem)"),
        Decision(conv("a", 16, 64, 3, region=a), ghost=GhostSpec(), width=40),
        Decision(
            conv("dw", 64, 64, 3, 64, ineligible=depthwise, unprunable=depthwise), keep=depthwise
        ),
        Decision(
            conv("b", 64, 32, 1, region=Region(readers={"c": 1}, macs=5)),
            keep="kept by the budget",
            width=24,
        ),
        Decision(conv("c", 32, 16, 1, unprunable=added), keep="excluded"),
    ))  # fmt: skip
