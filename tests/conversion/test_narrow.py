"""Dropped channels that nothing reads change nothing, in any geometry."""

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import ghostify
from ghostify import GhostModule
from ghostify.conversion.narrow import narrow


@torch.no_grad()
def silence(model, plan):
    """Let no layer read the channels that are dropped."""
    for name, kept in plan.kept_inputs.items():
        weight = model.get_submodule(name).weight
        dropped = torch.ones(weight.shape[1], dtype=torch.bool)
        dropped[list(kept)] = False
        weight[:, dropped] = 0


def assert_exact(model, example, plan):
    model.eval()
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_()
                layer.running_var.uniform_(0.5, 2)
    assert plan.widths
    silence(model, plan)
    narrowed = narrow(model, plan)
    with torch.no_grad():
        torch.testing.assert_close(narrowed(example), model(example), rtol=1e-4, atol=1e-4)
    assert type(narrowed) is type(model)
    assert [name for name, _ in narrowed.named_modules()] == [n for n, _ in model.named_modules()]
    geometry = {site.name: site.geometry for site in plan.converted_sites}
    found = {site.name: site.geometry for site in ghostify.analyze(narrowed, example)}
    assert found == geometry
    return narrowed


class NormAct(nn.BatchNorm2d):
    """As BatchNormAct2d of timm."""

    def __init__(self, channels):
        super().__init__(channels)
        self.act = nn.SiLU()

    def forward(self, x):
        return self.act(super().forward(x))


class Between(nn.Module):
    """A convolution and one that reads it, with layers between."""

    def __init__(self, channels, kernel, stride, bias, steps):
        super().__init__()
        padding = kernel // 2
        self.first = nn.Conv2d(3, channels, kernel, stride, padding, bias=bias)
        self.norm = nn.BatchNorm2d(channels)
        self.norm_act = NormAct(channels)
        self.depthwise = nn.Conv2d(
            channels, channels, kernel, stride, padding, groups=channels, bias=bias
        )
        self.squeeze = nn.Linear(channels, 4)
        self.excite = nn.Linear(4, channels, bias=bias)
        self.gate = nn.Conv2d(channels, channels, 1, bias=bias)
        self.pool = nn.MaxPool2d(2)
        self.act = nn.ReLU(inplace=True)
        self.slopes = nn.PReLU(channels)
        self.conv = nn.Conv2d(channels, 5, kernel, padding=padding, bias=bias)
        self.ghost = GhostModule(channels, 6, kernel, padding=padding, bias=bias)
        self.flat = nn.LazyLinear(7, bias=bias)
        self.steps = steps

    def forward(self, x):
        y = self.first(x)
        for step in self.steps:
            if step == "excite":
                factors = self.excite(self.squeeze(y.mean((2, 3))).relu()).sigmoid()
                y = y * factors[..., None, None]
            elif step == "gate":
                y = y * self.gate(y).sigmoid()
            else:
                y = getattr(self, step)(y)
        return self.conv(y), self.ghost(y), self.flat(y.flatten(1))


@settings(max_examples=30)
@given(
    channels=st.integers(2, 13),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.integers(1, 2),
    bias=st.booleans(),
    share=st.sampled_from([0.1, 0.5, 0.9]),
    steps=st.lists(
        st.sampled_from(
            ["norm", "norm_act", "depthwise", "excite", "gate", "pool", "act", "slopes"]
        ),
        unique=True,
    ),
    grad=st.booleans(),
)
def test_any_geometry(narrowing_plan, channels, kernel, stride, bias, share, steps, grad):
    model = Between(channels, kernel, stride, bias, steps)
    image = torch.randn(2, 3, 21, 18)
    model(image)
    model.first.weight.requires_grad_(grad)
    plan = narrowing_plan(model, image, share)
    narrowed = assert_exact(model, image, plan)
    assert plan.widths == {"first": max(int(share * channels), 1)}
    assert narrowed.first.weight.requires_grad == grad
    assert narrowed.ghost.in_channels == narrowed.conv.in_channels == plan.widths["first"]
    assert narrowed.flat.in_features == narrowed.flat.weight.shape[1]
    sizes = {m: m.num_features for m in narrowed.modules() if isinstance(m, nn.BatchNorm2d)}
    assert all(len(norm.running_var) == size for norm, size in sizes.items())


@pytest.mark.parametrize(
    ("name", "size"),
    [("vgg11_bn", 64), ("resnet50", 64), ("mobilenet_v2", 64), ("efficientnet_b0", 64),
     ("densenet121", 64), ("googlenet", 64), ("squeezenet1_1", 64)],
)  # fmt: skip
def test_real_networks(narrowing_plan, name, size):
    options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    model = torchvision.models.get_model(name, weights=None, **options)
    image = torch.randn(1, 3, size, size)
    assert_exact(model, image, narrowing_plan(model, image))


def test_a_layer_that_reads_and_is_read(narrowing_plan):
    model = nn.Sequential(*(nn.Conv2d(6, 6, 3) for _ in range(4)))
    image = torch.randn(1, 6, 12, 12)
    plan = narrowing_plan(model, image)
    narrowed = assert_exact(model, image, plan)
    assert list(plan.widths) == ["0", "1", "2"]
    assert narrowed[1].weight.shape == (3, 3, 3, 3)


def test_the_model_does_not_change(narrowing_plan):
    model = nn.Sequential(nn.GroupNorm(1, 3), nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    image = torch.randn(1, 3, 8, 8)
    narrowed = narrow(model, narrowing_plan(model, image))
    assert narrowed[0].weight is model[0].weight  # not narrowed: no memory for it
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_weights_keep_their_memory_format(narrowing_plan):
    model = nn.Sequential(nn.Conv2d(6, 8, 3), nn.Conv2d(8, 4, 3))
    image = torch.randn(1, 6, 8, 8)
    plan = narrowing_plan(model, image)
    for form in (torch.contiguous_format, torch.channels_last):
        narrowed = narrow(model.to(memory_format=form), plan)
        assert all(layer.weight.is_contiguous(memory_format=form) for layer in narrowed)
