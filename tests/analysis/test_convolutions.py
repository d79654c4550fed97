import pytest
import torch
from torch import nn

from ghostify.analysis.convolutions import (
    INDEPENDENT_FILTERS,
    first_filters,
    has_independent_filters,
)

timm = pytest.importorskip("timm", reason="the subclasses are timm's")


def filled(conv):
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.normal_()
    return conv.eval()


CONVOLUTIONS = [
    nn.Conv2d(4, 9, 3, stride=2, padding=1, dilation=2),
    nn.Conv2d(4, 9, (1, 5), padding="same", padding_mode="reflect", bias=False),
    timm.layers.Conv2dSame(4, 9, 3, stride=2),
    timm.layers.StdConv2d(4, 9, 3, bias=True),
    timm.layers.StdConv2dSame(4, 9, 3, stride=2),
    timm.layers.ScaledStdConv2d(4, 9, 3),
    timm.layers.ScaledStdConv2dSame(4, 9, 3, stride=2, padding="same"),
]


@pytest.mark.parametrize("conv", CONVOLUTIONS, ids=lambda conv: type(conv).__name__)
@pytest.mark.parametrize("filters", [1, 5])
def test_a_narrow_convolution_makes_the_first_maps(conv, filters):
    assert has_independent_filters(filled(conv))
    x = torch.randn(2, 4, 13, 14)
    sliced = first_filters(conv, filters)
    assert type(sliced) is type(conv)
    assert torch.allclose(sliced(x), conv(x)[:, :filters], atol=1e-5)
    assert conv.out_channels == 9
    assert all(p.data_ptr() != q.data_ptr() for p in sliced.parameters() for q in conv.parameters())


def test_registered_classes_of_installed_libraries_exist():
    for path in INDEPENDENT_FILTERS:
        module, _, name = path.rpartition(".")
        if module.startswith("timm.layers"):
            assert issubclass(getattr(timm.layers, name), nn.Conv2d)


def test_frozen_filters_stay_frozen():
    conv = nn.Conv2d(4, 9, 3)
    conv.weight.requires_grad_(False)
    sliced = first_filters(conv, 5)
    assert (sliced.weight.requires_grad, sliced.bias.requires_grad) == (False, True)


def test_a_parameter_that_is_not_by_filter_ties_them():
    conv = nn.Conv2d(4, 9, 3)
    conv.temperature = nn.Parameter(torch.ones(1))
    assert not has_independent_filters(conv)
    conv.temperature = nn.Parameter(torch.ones(9))
    assert has_independent_filters(conv)
