"""Any model: random small networks, hostile ones, and inputs and outputs of all kinds."""

import copy
import tempfile
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import ghostify
from ghostify import GhostifyError, GhostModule, Plan
from ghostify.planning import plan_sites


def conv(inputs, outputs, **options):
    return nn.Conv2d(inputs, outputs, 3, padding=1, **options)


class Block(nn.Module):
    """One way of wiring two convolutions of ``width`` feature maps."""

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        self.kind = kind
        self.a = conv(width // 2, width // 2) if kind == "split" else conv(width, width, bias=False)
        self.b = conv(2 * width, width) if kind == "dense" else conv(width, width)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x):
        if self.kind == "residual":
            return x + self.b(F.relu(self.norm(self.a(x))))
        if self.kind == "dense":
            return self.b(torch.cat([x, self.a(x)], 1))
        if self.kind == "split":
            left, right = x.chunk(2, 1)
            return self.norm(torch.cat([left, self.a(right)], 1))
        if self.kind == "shared":
            return self.a(F.relu(self.a(x)))
        if self.kind == "shuffled":
            n, c, h, w = x.shape
            return self.b(self.a(x).view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w))
        if self.kind == "branches":
            return torch.maximum(self.a(x), self.norm(self.b(x))) + x
        if self.kind == "functional":
            return F.conv2d(self.a(x), self.b.weight, padding=1)
        if self.kind == "by value":
            return self.a(x) if float(x.detach().abs().sum()) >= 0 else self.b(x)
        assert self.kind == "training only"
        return self.a(x) + (self.b(x) if self.training else 0)


KINDS = [
    "residual", "dense", "split", "shared", "shuffled", "branches", "functional", "by value",
    "training only",
]  # fmt: skip


@settings(max_examples=60)
@given(
    width=st.integers(4, 9).map(lambda half: 2 * half),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=5),
    ratio=st.floats(1.1, 6),
)
def test_random_networks_convert_run_train_and_come_back(width, kinds, ratio):
    torch.manual_seed(0)
    blocks = [Block(kind, width) for kind in kinds]
    model = nn.Sequential(conv(3, width, stride=2), *blocks, nn.Flatten(), nn.Linear(16 * width, 4))
    model.eval()
    x = torch.rand(2, 3, 8, 8)
    before = copy.deepcopy(model.state_dict())
    sites = ghostify.analyze(model, x)
    assert {s.name for s in sites if not s.functional} == {
        name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)
    }
    plan = plan_sites(sites, ratio=ratio)
    if not plan.replaced:
        return
    ghost = ghostify.convert(model, x, plan=plan)
    assert Plan.of(ghost) == plan
    assert ghost(x).shape == model(x).shape
    with tempfile.TemporaryDirectory() as folder:
        loaded = ghostify.load(ghostify.save(ghost, f"{folder}/out"), model)
    assert torch.equal(loaded(x), ghost(x))
    ghost.train()(x).sum().backward()
    assert any(m.cheap_operation[0].weight.grad is not None for m in ghosts(ghost))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def ghosts(model):
    return [module for module in model.modules() if isinstance(module, GhostModule)]


class Net(nn.Module):
    """A stem and a convolution, and around them a forward that each test gives."""

    def __init__(self, body, **modules):
        super().__init__()
        self.stem, self.conv = conv(3, 8), conv(8, 8)
        for name, module in modules.items():
            self.add_module(name, module)
        self.body = body

    def forward(self, *args, **kwargs):
        return self.body(self, *args, **kwargs)


def features(net, x):
    return net.conv(net.stem(x))


IMAGE = torch.rand(2, 3, 8, 8)


@dataclass
class Output:
    logits: torch.Tensor
    features: list[torch.Tensor]


@pytest.mark.parametrize(
    ("body", "example"),
    [
        (features, IMAGE),
        (lambda net, *xs: [features(net, x) for x in xs], (IMAGE, IMAGE)),
        (lambda net, **xs: {k: features(net, x) for k, x in xs.items()}, {"a": IMAGE, "b": IMAGE}),
        (lambda net, images: [features(net, x[None]) for x in images], [IMAGE[0], IMAGE[1, :, 2:]]),
        (lambda net, x, flip=False: features(net, x.flip(3) if flip else x), (IMAGE, True)),
        (lambda net, data: features(net, data["x"]) * data["scale"], ({"x": IMAGE, "scale": 2},)),
        (lambda net, x: Output(features(net, x).mean((2, 3)), [x]), IMAGE),
        (lambda net, x: None if net.training else (features(net, x), "text"), IMAGE),
        (lambda net, x: features(net, x).cpu().numpy(), IMAGE),
    ],
)
def test_inputs_and_outputs_of_all_kinds(body, example):
    ghost = ghostify.convert(Net(body).eval(), example)
    assert set(Plan.of(ghost).replaced) == {"conv"}


def raising_in_training(net, x):
    if net.training:
        raise RuntimeError("for inference only")
    return features(net, x)


def mutating(net, x):
    with torch.no_grad():
        net.stem.weight.mul_(0.9)
    return features(net, x)


def generating(net, x):
    yield net.stem(x)
    yield features(net, x)


def of_random_size(net, x):
    return features(net, x)[:, :, : int(torch.randint(1, 8, ()))]


@pytest.mark.parametrize("body", [raising_in_training, mutating, generating, of_random_size])
def test_hostile_forwards(body):
    model = Net(body).eval()
    before = copy.deepcopy(model.state_dict())
    ghost = ghostify.convert(model, IMAGE)
    assert set(Plan.of(ghost).replaced) == {"conv"}
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_forward_that_never_works():
    def broken(net, x):
        raise KeyError("mask")

    with pytest.raises(GhostifyError, match="Net does not run on an input of 2x3x8x8: .*mask"):
        ghostify.convert(Net(broken), IMAGE)


def test_lazy_modules_are_materialized_in_the_copy():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d())
    ghost = ghostify.convert(model, IMAGE)
    assert ghost[1].in_channels == 8
    assert ghost(IMAGE).shape == (2, 8, 4, 4)
    assert nn.parameter.is_lazy(model[1].weight)
    assert (ghost.training, ghost[2].training) == (True, True)
    assert len(ghostify.compare(model, ghost, IMAGE).replaced) == 1


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_scripted_model_is_kept():
    script = torch.jit.script(nn.Sequential(conv(3, 8), conv(8, 8)))
    with pytest.raises(GhostifyError, match="every convolution is kept .*scripted by torch.jit"):
        ghostify.convert(script, IMAGE)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_of_numbers(dtype):
    ghost = ghostify.convert(Net(features).to(dtype), IMAGE.to(dtype))
    assert {p.dtype for p in ghost.parameters()} == {dtype}


def test_channels_last():
    model = Net(features).to(memory_format=torch.channels_last)
    x = IMAGE.to(memory_format=torch.channels_last)
    ghost = ghostify.convert(model, x)
    assert ghost(x).is_contiguous(memory_format=torch.channels_last)


def test_on_the_meta_device_there_is_a_report():
    with torch.device("meta"):
        model = Net(features)
    report = ghostify.compare(model, ghostify.convert(model, IMAGE), IMAGE)
    assert report.before.counter == "torch"
    assert report.replaced[0].macs[0] == 2 * 64 * 8 * 8 * 9


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    ghost = ghostify.convert(Net(features).cuda(), IMAGE.cuda())
    assert {p.device.type for p in ghost.parameters()} == {"cuda"}


def test_a_part_that_is_frozen_in_evaluation_mode_stays_so():
    model = Net(lambda net, x: net.norm(features(net, x)), norm=nn.BatchNorm2d(8)).train()
    model.norm.eval()
    ghost = ghostify.convert(model, IMAGE)
    assert (ghost.training, ghost.conv.training, ghost.norm.training) == (True, True, False)


def test_an_auxiliary_head_is_kept_with_its_reason():
    def body(net, x):
        output = features(net, x)
        return (output, net.aux(output)) if net.training else output

    plan = Plan.of(ghostify.convert(Net(body, aux=conv(8, 8)), IMAGE))
    kept = {d.site.name: d.keep for d in plan.decisions}
    assert kept["aux"] == "called in training mode only"


def test_a_patch_embedding():
    patches = nn.Sequential(conv(3, 8), nn.Conv2d(8, 32, 4, stride=8))
    ghost = ghostify.convert(patches, torch.rand(1, 3, 32, 32))
    assert ghost(torch.rand(1, 3, 32, 32)).shape == (1, 32, 4, 4)
