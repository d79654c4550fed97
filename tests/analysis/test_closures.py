"""Networks whose blocks are patched from outside: copies run their own modules, or are refused."""

import copy
import functools
import types
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import ghostify
from ghostify import GhostifyError, Plan
from ghostify.analysis.dry_run import dry_run
from ghostify.analysis.model_copy import copy_model


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return run(self, x)


def run(block, x):
    return x + block.second(block.norm(block.first(x)).relu())


def over_itself(block):
    block.forward = lambda x: run(block, x)


def over_its_old_forward(block):
    old = block.forward
    block.forward = lambda *args: checkpoint(old, *args, use_reentrant=False)


def as_a_wrapper(block):
    old = block.forward

    @functools.wraps(old)
    def forward(*args, **kwargs):
        return old(*args, **kwargs)

    block.forward = forward


def in_a_nested_function(block):
    def inner(x):
        return run(block, x)

    block.forward = functools.partial(lambda function, x: function(x), inner)


def as_a_partial(block):
    block.forward = functools.partial(run, block)


def as_a_keyword_of_a_partial(block):
    block.forward = functools.partial(
        lambda x, function: function(x), function=lambda x: run(block, x)
    )


def by_a_bound_function_of_a_partial(block):
    block.forward = functools.partial(lambda x: run(block, x))


def as_a_default(block):
    block.forward = lambda x, block=block: run(block, x)


def as_a_keyword_default(block):
    block.forward = lambda x, *, block=block: run(block, x)


def over_a_list(block):
    layers = [block.first, block.norm, block.second]
    block.forward = lambda x: functools.reduce(lambda x, layer: layer(x), layers, x)


def as_a_method(block):
    block.forward = types.MethodType(run, block)


def in_a_hook(block):
    norm, second = block.norm, block.second
    block.first.register_forward_hook(lambda module, args, output: second(norm(output)) + output)


def over_a_weight(block):
    weight = block.first.weight
    block.forward = lambda x: block.second(block.norm(F.conv2d(x, weight, padding=1)))


PLAIN = [
    over_itself, over_its_old_forward, as_a_wrapper, in_a_nested_function, as_a_partial,
    as_a_keyword_of_a_partial, by_a_bound_function_of_a_partial, as_a_default,
    as_a_keyword_default, over_a_list, as_a_method, in_a_hook, over_a_weight,
]  # fmt: skip
IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def network(patch):
    body = (nn.Conv2d(3, 8, 3, padding=1), Block(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net = nn.Sequential(*body, nn.Linear(8, 5)).eval()
    patch(net[1])
    return net


def state_of(net):
    return copy.deepcopy(net.state_dict())


def unchanged(net, state):
    return all(torch.equal(state[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize("patch", PLAIN)
def test_a_copy_runs_and_trains_its_own_modules(patch):
    net = network(patch)
    before, expected = state_of(net), net(IMAGES)
    copied = copy_model(net)
    assert torch.equal(copied(IMAGES), expected)
    copied.train()(IMAGES).sum().backward()
    assert all(parameter.grad is not None for parameter in copied.parameters())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert unchanged(net, before)
    with torch.no_grad():
        copied[1].second.bias.add_(1)
    assert not torch.equal(copied.eval()(IMAGES), expected)
    assert torch.equal(net(IMAGES), expected)


@pytest.mark.parametrize("patch", PLAIN)
def test_a_conversion_is_its_own_and_comes_back(patch, tmp_path):
    net = network(patch)
    before = state_of(net)
    ghost = ghostify.convert(net, IMAGES, calibration=IMAGES)
    replaced = Plan.of(ghost).replaced
    assert set(replaced) <= {"1.first", "1.second"}
    assert replaced
    assert not torch.equal(ghost(IMAGES), net(IMAGES))
    loaded = ghostify.load(ghostify.save(ghost, tmp_path / "out"), net)
    assert torch.equal(loaded(IMAGES), ghost(IMAGES))
    assert unchanged(net, before)


def test_functions_that_share_a_variable_share_it_in_the_copy():
    net = network(lambda block: None)
    block = net[1]
    net[1].forward = lambda x: run(block, x)
    net[3].register_forward_hook(lambda module, args, output: output + block.second.bias.sum())
    copied = copy_model(net)
    (hook,) = copied[3]._forward_hooks.values()
    assert hook.__closure__[0] is copied[1].forward.__closure__[0]
    assert hook.__closure__[0].cell_contents is copied[1]


def test_what_is_not_of_the_model_is_shared_with_the_copy():
    seen, net = [], network(lambda block: None)
    block = net[1]
    net[1].register_forward_hook(lambda module, args, output: seen.append(block.norm))
    copied = copy_model(net)
    copied(IMAGES)
    assert [norm is copied[1].norm for norm in seen] == [True]
    plain = nn.ReLU()
    plain.function = lambda: seen
    assert copy_model(plain).function is plain.function


def test_attributes_of_functions_are_kept():
    def patch(block):
        block.forward = lambda x, *, scale=2: scale * run(block, x)
        block.forward.note = "patched"

    net = network(patch)
    copied = copy_model(net)
    assert copied[1].forward.note == "patched"
    assert torch.equal(copied(IMAGES), net(IMAGES))


def test_a_variable_that_is_not_set_yet():
    def patch(block):
        block.later = lambda: unset
        block.forward = lambda x: run(block, x)
        if block is None:
            unset = 1

    assert copy_model(network(patch))(IMAGES).shape == (4, 5)


BLOCKS = {}


def by_a_global(block):
    BLOCKS["block"] = block
    block.forward = lambda x: run(BLOCKS["block"], x)


def by_a_weak_reference(block):
    reference = weakref.ref(block)
    block.forward = lambda x: run(reference(), x)


class Hidden:
    def __init__(self, block):
        self.block = block

    def __deepcopy__(self, memo):
        return self

    def __call__(self, x):
        return run(self.block, x)


def by_an_object_that_is_not_copied(block):
    block.forward = Hidden(block)


def by_a_functional_call(block):
    BLOCKS["block"] = block
    block.forward = lambda x: F.conv2d(x, weight=BLOCKS["block"].first.weight, padding=1)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "patch",
    [by_a_global, by_a_weak_reference, by_an_object_that_is_not_copied, by_a_functional_call],
)
def test_what_stays_bound_to_the_original_is_refused_by_name(patch, training):
    net = network(patch)
    before = state_of(net)
    with pytest.raises(GhostifyError, match=r"^a copy of 1 uses 1.first.weight of the original: "):
        dry_run(net, IMAGES, training=training)
    for function in (ghostify.analyze, ghostify.convert, ghostify.deploy, ghostify.sensitivity):
        with pytest.raises(GhostifyError, match=r"a copy of 1 uses 1.first.weight of the original"):
            function(net, IMAGES)
    assert unchanged(net, before)


def test_buffers_of_the_original_count_too():
    BLOCKS["norm"] = nn.BatchNorm2d(3, affine=False)
    net = nn.Sequential(BLOCKS["norm"], nn.Conv2d(3, 4, 3))
    net[0].forward = lambda x: F.batch_norm(x, BLOCKS["norm"].running_mean, None, training=True)
    with pytest.raises(GhostifyError, match=r"a copy of 0 uses 0.running_mean of the original"):
        dry_run(net, IMAGES)


def test_the_network_itself_is_named_if_it_is_bound():
    net = network(lambda block: None)
    BLOCKS["net"] = net[4]
    net.forward = lambda x: F.linear(x.mean((2, 3)), BLOCKS["net"].weight[:, :3])
    with pytest.raises(GhostifyError, match=r"a copy of the network uses 4.weight of the original"):
        dry_run(net, IMAGES)


def test_shape_and_type_of_an_original_tensor_may_be_read():
    def patch(block):
        BLOCKS["block"] = block
        block.forward = lambda x: run(block, x.to(BLOCKS["block"].first.weight.dtype))

    assert ghostify.analyze(network(patch), IMAGES)


def test_modules_that_copies_share_by_their_own_wish_are_no_foreigners():
    class Shared(nn.Conv2d):
        def __deepcopy__(self, memo):
            return self

    net = nn.Sequential(nn.Conv2d(3, 4, 3), Shared(4, 4, 3))
    assert dry_run(net, IMAGES).output.shape == (4, 4, 4, 4)
