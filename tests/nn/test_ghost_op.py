"""The fused operation of a Ghost module: gradients of plain concatenation, less memory."""

import copy
from itertools import pairwise

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn
from torch.autograd import forward_ad
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

import ghostify
from ghostify import GhostModule
from ghostify.nn import ghost_module
from ghostify.nn.ghost_op import ghost_features
from ghostify.types import GhostSpec

WRITERS = {
    "nothing": lambda y: y,
    "relu in place": lambda y: F.relu(y, inplace=True),
    "added to": lambda y: y.add_(y.detach() + 1),
    "a slice": lambda y: (y.narrow(-3, 0, 2).mul_(3), y)[1],
    "without gradient": lambda y: (y.detach().mul_(2), y)[1],
}


@pytest.fixture
def calls(monkeypatch):
    """The operation's calls."""
    seen = []

    def counted(*args):
        seen.append(args)
        return ghost_features(*args)

    monkeypatch.setattr(ghost_module, "ghost_features", counted)
    return seen


def step(module, x, after=lambda y: y):
    """Output, and the gradients of the input and of all parameters."""
    module, x = copy.deepcopy(module), x.clone().requires_grad_()
    y = after(module(x * 1))
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    return [y.detach(), x.grad, *(p.grad for p in module.parameters())]


def plain_step(*args):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ghost_module, "is_training_step", lambda x: False)
        return step(*args)


def assert_same(ours, others, **tolerance):
    for own, other in zip(ours, others, strict=True):
        torch.testing.assert_close(own, other, **tolerance)


@given(st.data())
def test_gradients_are_those_of_plain_concatenation(data):
    n, ratio = data.draw(st.integers(2, 14)), data.draw(st.sampled_from([1.5, 2, 3, 5]))
    assume(GhostSpec(ratio).intrinsic(n) < n)
    module = GhostModule(
        3, n, data.draw(st.sampled_from([1, 3, (2, 3)])), data.draw(st.sampled_from([1, 2])),
        data.draw(st.sampled_from([0, 1])), bias=data.draw(st.booleans()), ratio=ratio,
        dw_size=data.draw(st.sampled_from([1, 3, 5])),
        padding_mode=data.draw(st.sampled_from(["zeros", "reflect"])),
    ).double()  # fmt: skip
    if data.draw(st.booleans()):
        module.order = torch.randperm(n)
    x = torch.randn(2, 3, 6, 7, dtype=torch.double)
    if data.draw(st.booleans()):
        x = x.contiguous(memory_format=torch.channels_last)
    if data.draw(st.booleans()):
        x = x[0]
    writer = WRITERS[data.draw(st.sampled_from(sorted(WRITERS)))]
    assert_same(step(module, x, writer), plain_step(module, x, writer))


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("dw_size", [1, 3])
@pytest.mark.parametrize("slope", [1.0, 0.3])
def test_first_and_second_derivatives_are_exact(ordered, dw_size, slope, calls):
    module = GhostModule(2, 7, 3, ratio=3, dw_size=dw_size).double()
    module.order = torch.randperm(7) if ordered else None
    names = list(dict(module.named_parameters()))

    def run(x, *parameters):
        y = torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), (x,))
        return y if slope == 1 else F.leaky_relu(y, slope, inplace=True)

    inputs = (torch.randn(2, 2, 4, 5, dtype=torch.double, requires_grad=True),)
    assert torch.autograd.gradcheck(run, inputs + tuple(module.parameters()))
    assert torch.autograd.gradgradcheck(run, inputs + tuple(module.parameters()))
    assert calls


@pytest.mark.parametrize("dw_size", [1, 3])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("writer", WRITERS)
def test_autocast(dw_size, dtype, writer, calls):
    module, x = GhostModule(3, 8, 3, dw_size=dw_size), torch.randn(2, 3, 8, 8)

    def after(y):
        assert y.dtype == dtype
        return WRITERS[writer](y)

    with torch.autocast("cpu", dtype):
        ours, others = step(module, x, after), plain_step(module, x, after)
    assert len(calls) == 1
    assert [t.dtype for t in ours] == [t.dtype for t in others]
    assert_same(ours, others, rtol=2e-2, atol=5e-2)


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("reentrant", [False, True])
def test_under_checkpoints_and_hooks_on_what_is_kept(writer, reentrant):
    module, x = GhostModule(3, 8, 3).double(), torch.randn(2, 3, 8, 8, dtype=torch.double)
    after = WRITERS[writer]
    expected = plain_step(module, x, after)

    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = module

        def forward(self, x):
            return checkpoint(lambda x: after(self.module(x)), x, use_reentrant=reentrant)

    assert_same(step(Checkpointed(), x), expected)
    for keeping in (
        torch.autograd.graph.save_on_cpu(),
        torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t),
        torch.autograd.graph.allow_mutation_on_saved_tensors(),
    ):
        with keeping:
            assert_same(step(module, x, after), expected)


def test_functional_transforms():
    module, x = GhostModule(2, 7, 3, ratio=3).double(), torch.randn(2, 2, 5, 5).double()
    parameters = dict(module.named_parameters())

    def loss(parameters, x):
        return torch.func.functional_call(module, parameters, (x,)).square().sum()

    loss(parameters, x).backward()
    whole = torch.func.grad(loss)(parameters, x)
    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(parameters, x[:, None])
    for name, parameter in parameters.items():
        torch.testing.assert_close(whole[name], parameter.grad)
        torch.testing.assert_close(each[name].sum(0), parameter.grad)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of PyTorch's own
def test_forward_derivatives():
    module, x = GhostModule(2, 7, 3, ratio=3).double(), torch.randn(2, 2, 5, 5).double()
    expected = module(2 * x) - module(x)
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(module(forward_ad.make_dual(x, x))).tangent
    torch.testing.assert_close(tangent, expected)
    torch.testing.assert_close(torch.func.jvp(module, (x,), (x,))[1], expected)


@pytest.mark.filterwarnings("ignore")  # of opcheck itself
@pytest.mark.parametrize("ordered", [False, True])
def test_the_library_knows_all_of_the_operation(ordered):
    tensors = [(2, 3, 5, 5), (4, 1, 3, 3), (4,), (2, 2, 5, 5), (3, 2, 3, 3)]
    maps, *weights, source, primary = (torch.randn(shape, requires_grad=True) for shape in tensors)
    order = torch.randperm(7) if ordered else None
    torch.library.opcheck(
        ghost_features,
        (maps, *weights, order, source, primary, None),
        test_utils=("test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic"),
    )


def small_network():
    return nn.Sequential(
        GhostModule(3, 7, 3, ratio=3), nn.BatchNorm2d(7), nn.ReLU(inplace=True),
        GhostModule(7, 8, 3, dw_size=1), nn.ReLU(inplace=True),
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiles_in_one_graph(backend):
    network, x = small_network(), torch.randn(2, 3, 9, 9)
    torch._dynamo.reset()
    compiled = copy.deepcopy(network)
    torch.compile(compiled, fullgraph=True, backend=backend)(x).square().sum().backward()
    network(x).square().sum().backward()
    for own, other in zip(compiled.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("training", [False, True])
def test_exporters_see_plain_convolutions(training):
    network, x = small_network().train(training), torch.randn(2, 3, 9, 9)
    graphs = [
        torch.export.export(network, (x,)).graph,
        torch.fx.symbolic_trace(network).graph,
        torch.jit.trace(network, x, check_trace=False).inlined_graph,
        torch.jit.script(network).inlined_graph,
    ]
    for graph in graphs:
        assert "conv" in str(graph)
        assert "ghost_features" not in str(graph)


def test_hooks_and_parametrizations_keep_working(calls):
    x, seen = torch.randn(2, 3, 8, 8), []
    module = GhostModule(3, 8, 3)
    module.primary_conv[0].register_forward_hook(lambda *_: seen.append("primary"))
    module(x)
    module.cheap_operation[0].register_forward_hook(lambda *_: seen.append("cheap"))
    module(x)
    assert (seen, len(calls)) == (["primary", "primary", "cheap"], 1)
    module = GhostModule(3, 8, 3).double()
    for part in (module.primary_conv, module.cheap_operation):
        parametrizations.weight_norm(part[0])
        writer = WRITERS["relu in place"]
        assert_same(step(module, x.double(), writer), plain_step(module, x.double(), writer))


class Doubled(nn.Conv2d):
    def forward(self, x):
        return F.conv2d(F.pad(x, (1, 0, 1, 0)), self.weight * 2, self.bias, stride=self.stride)


def test_a_primary_of_another_class(calls):
    module = GhostModule.from_primary(Doubled(3, 3, 3), 8, GhostSpec(3)).double()
    x, writer = torch.randn(2, 3, 8, 8, dtype=torch.double), WRITERS["relu in place"]
    assert_same(step(module, x, writer), plain_step(module, x, writer))
    assert len(calls) == 1


@pytest.mark.parametrize("part", ["primary_conv", "cheap_operation"])
def test_frozen_halves(part):
    module, x = GhostModule(3, 8, 3).double(), torch.randn(2, 3, 8, 8, dtype=torch.double)
    module.get_submodule(part).requires_grad_(False)
    writer = WRITERS["relu in place"]
    assert_same(
        [t for t in step(module, x, writer) if t is not None],
        [t for t in plain_step(module, x, writer) if t is not None],
    )


def kept_bytes(model, x):
    """Bytes of all that one forward pass keeps, but for parameters and buffers."""
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = model.train()(x)
    del output
    return sum(size for pointer, size in kept.items() if pointer not in own)


def stack(normed):
    widths, layers = [3, 16, 12, 20], []
    for inputs, outputs in pairwise(widths):
        norm = [nn.BatchNorm2d(outputs)] if normed else []
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), *norm, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize("ratio", [2, 4])
def test_no_more_is_kept_than_by_the_convolutions(normed, ratio, monkeypatch):
    model, x = stack(normed), torch.randn(4, 3, 16, 16)
    converted = ghostify.convert(model, x, ratio=ratio, init="random")
    assert kept_bytes(converted, x) == kept_bytes(model, x)
    monkeypatch.setattr(ghost_module, "is_training_step", lambda x: False)
    assert kept_bytes(converted, x) > kept_bytes(model, x)


def test_with_an_order_no_more_is_kept_either():
    model = nn.Sequential(GhostModule(3, 8, 3), nn.BatchNorm2d(8))
    x = torch.randn(4, 3, 16, 16)
    without = kept_bytes(model, x)
    model[0].order = torch.randperm(8)
    assert kept_bytes(model, x) == without
