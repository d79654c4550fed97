"""GhostModule against a plain reference, over random geometries."""

import copy
import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from ghostify import GhostifyError, GhostModule

KERNELS = [(1, 1), (3, 3), (5, 5), (7, 7), (1, 7), (7, 1), (2, 3)]
MODES = ["zeros", "reflect", "replicate", "circular"]


@st.composite
def geometries(draw):
    geometry = {
        "in_channels": draw(st.integers(1, 6)),
        "out_channels": draw(st.integers(2, 19)),
        "kernel_size": draw(st.sampled_from(KERNELS)),
        "dilation": draw(st.sampled_from([1, 2, (1, 2)])),
        "bias": draw(st.booleans()),
        "padding_mode": draw(st.sampled_from(MODES)),
        "ratio": draw(st.one_of(st.floats(1.1, 8), st.integers(2, 8))),
        "dw_size": draw(st.sampled_from([1, 3, 5, 7])),
    }
    geometry["padding"] = draw(st.sampled_from([0, 1, (0, 3), "same", "valid"]))
    strides = [1] if geometry["padding"] == "same" else [1, 2, 3, (2, 1), 5]
    geometry["stride"] = draw(st.sampled_from(strides))
    assume(math.ceil(geometry["out_channels"] / geometry["ratio"]) < geometry["out_channels"])
    return geometry


def reference(module, x):
    """Primary, then one grouped convolution on repeated feature maps, concatenate, slice."""
    primary, *rest = module.primary_conv
    cheap, *cheap_rest = module.cheap_operation
    conv = nn.Conv2d(
        module.in_channels, primary.out_channels, module.kernel_size, module.stride,
        module.padding, module.dilation, bias=primary.bias is not None,
        padding_mode=module.padding_mode, dtype=x.dtype,
    )  # fmt: skip
    conv.load_state_dict(primary.state_dict())
    intrinsic = nn.Sequential(conv, *rest)(x)
    blocks = math.ceil(cheap.out_channels / intrinsic.shape[1])
    groups = blocks * intrinsic.shape[1]
    surplus = groups - cheap.out_channels
    weight = F.pad(cheap.weight, (0, 0, 0, 0, 0, 0, 0, surplus), value=1.0)
    bias = None if cheap.bias is None else F.pad(cheap.bias, (0, surplus))
    ghosts = F.conv2d(
        intrinsic.repeat(1, blocks, 1, 1), weight, bias, padding=module.dw_size // 2, groups=groups
    )
    ghosts = nn.Sequential(*cheap_rest)(ghosts[:, : cheap.out_channels])
    return torch.cat([intrinsic, ghosts, ghosts], 1)[:, : module.out_channels]


def _noisy_norm(channels):
    norm = nn.BatchNorm2d(channels)
    nn.init.uniform_(norm.running_mean, -1, 1)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.uniform_(norm.bias, -1, 1)
    return norm


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@settings(max_examples=300)
@given(geometries(), st.booleans())
def test_equals_the_reference(geometry, activated):
    flavor = {"norm": _noisy_norm, "activation": nn.ReLU} if activated else {}
    module = GhostModule(**geometry, **flavor).double().eval()
    x = torch.randn(2, geometry["in_channels"], 17, 19, dtype=torch.double)
    out = module(x)
    torch.testing.assert_close(out, reference(module, x), rtol=1e-10, atol=1e-10)
    assert (
        out.shape
        == nn.Conv2d(**{k: v for k, v in geometry.items() if k not in ("ratio", "dw_size")})(
            x.float()
        ).shape
    )


def test_takes_an_input_without_a_batch():
    module = GhostModule(3, 10, 3, ratio=3)
    x = torch.randn(3, 8, 8)
    torch.testing.assert_close(module(x), module(x[None])[0])


class PublishedGhost(nn.Module):
    """A Ghost module laid out as in the authors' code, with the names of its parameters."""

    def __init__(self, inputs, outputs, kernel_size, dw_size):
        super().__init__()
        half = math.ceil(outputs / 2)
        self.primary_conv = nn.Sequential(
            nn.Conv2d(inputs, half, kernel_size, padding=kernel_size // 2, bias=False),
            _noisy_norm(half),
            nn.ReLU(),
        )
        self.cheap_operation = nn.Sequential(
            nn.Conv2d(half, half, dw_size, padding=dw_size // 2, groups=half, bias=False),
            _noisy_norm(half),
            nn.ReLU(),
        )

    def forward(self, x):
        intrinsic = self.primary_conv(x)
        return torch.cat([intrinsic, self.cheap_operation(intrinsic)], 1)


@pytest.mark.parametrize(("kernel", "dw_size"), [(1, 3), (3, 3), (1, 5), (3, 1)])
def test_loads_the_authors_state_dict(kernel, dw_size):
    published = PublishedGhost(8, 12, kernel, dw_size).eval()
    ours = GhostModule(
        8, 12, kernel, padding=kernel // 2, bias=False, dw_size=dw_size,
        norm=nn.BatchNorm2d, activation=nn.ReLU,
    ).eval()  # fmt: skip
    assert list(ours.state_dict()) == list(published.state_dict())
    ours.load_state_dict(published.state_dict())
    x = torch.randn(2, 8, 9, 9)
    torch.testing.assert_close(ours(x), published(x))


def test_stands_for_the_convolution():
    module = GhostModule(4, 9, (1, 7), stride=2, padding=(0, 3), dilation=1)
    assert (module.in_channels, module.out_channels, module.groups) == (4, 9, 1)
    assert (module.kernel_size, module.stride) == ((1, 7), (2, 2))
    assert (module.padding, module.dilation) == ((0, 3), (1, 1))


def test_only_the_linear_flavor_is_linear():
    x, y = torch.randn(2, 1, 3, 8, 8)
    linear = GhostModule(3, 8, 3, bias=False)
    torch.testing.assert_close(linear(x + y), linear(x) + linear(y))
    activated = GhostModule(3, 8, 3, bias=False, activation=nn.ReLU)
    assert not torch.allclose(activated(x + y), activated(x) + activated(y))


def test_gradients_reach_every_parameter():
    module = GhostModule(3, 11, 3, ratio=3)
    module(torch.randn(1, 3, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


def test_gradients_are_exact():
    module = GhostModule(2, 7, 3, ratio=3).double()
    x = torch.randn(1, 2, 5, 5, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(module, x)


def test_a_copy_computes_the_same():
    module = GhostModule(3, 8, 3)
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(copy.deepcopy(module)(x), module(x))


def test_a_ratio_that_leaves_no_ghost_is_refused():
    with pytest.raises(GhostifyError, match="leaves no ghost"):
        GhostModule(3, 2, 3, ratio=1.5)


@pytest.mark.parametrize("numbers", [{"ratio": 1}, {"ratio": math.nan}, {"dw_size": 2}])
def test_numbers_out_of_range_are_refused(numbers):
    with pytest.raises(GhostifyError, match=next(iter(numbers))):
        GhostModule(3, 8, 3, **numbers)


def test_an_order_is_one_gather_in_a_graph():
    module, x = GhostModule(3, 9, 3), torch.randn(1, 3, 8, 8)
    module.order = torch.randperm(9)
    program = torch.export.export(module, (x,))
    operators = [str(node.target) for node in program.graph.nodes]
    assert operators.count("aten.index_select.default") == 1
    assert not {"aten.argsort.default", "aten.index_copy.default"} & set(operators)
    torch.testing.assert_close(program.module()(x), module(x))


def test_the_shape_without_values():
    module = GhostModule(3, 9, 3, stride=2, device="meta", dtype=torch.half)
    out = module(torch.empty(2, 3, 9, 9, device="meta", dtype=torch.half))
    assert (out.shape, out.dtype) == ((2, 9, 4, 4), torch.half)


def test_it_has_no_weight_and_says_what_to_do_instead():
    module = GhostModule(3, 8, 3)
    with pytest.raises(AttributeError, match=r"merge branches before the conversion, with"):
        _ = module.weight
    assert not hasattr(module, "weight")
    assert getattr(module, "weight", None) is None
    with pytest.raises(AttributeError, match="has no attribute 'wight'"):
        _ = module.wight
