from contextlib import suppress

import pytest
import torch
from torch import nn

from ghostify import GhostifyError
from ghostify.analysis.dry_run import dry_run
from ghostify.analysis.forward_observer import ForwardObserver, parameter_owners, shares_parameters

from .test_dry_run import IMAGE, Net


class Order(ForwardObserver):
    def __init__(self, copy_model):
        super().__init__(copy_model)
        self.order = []

    def after_forward(self, module, inputs, result):
        self.order.append(self.names[module])


def test_modules_in_order():
    assert dry_run(Net(lambda n, x: n.norm(n.conv(x))), IMAGE, observer=Order).observer.order == [
        "conv", "norm", "",
    ]  # fmt: skip


def test_an_exception_that_the_model_catches():
    def forward(net, x):
        with suppress(RuntimeError):
            net.conv(x[:, :1])
        return net.norm(net.conv(x))

    run = dry_run(Net(forward), IMAGE, observer=Order)
    assert run.observer.order == ["conv", "norm", ""]
    assert run.observer.stack == []


def test_no_global_hook_is_left(small_net, image):
    """torch.compile warns of global hooks."""
    dry_run(small_net, image)
    with pytest.raises(GhostifyError):
        dry_run(small_net, image[:, :2])
    own = vars(torch.nn.modules.module).items()
    hooks = [value for name, value in own if name.startswith("_global_") and "hooks" in name]
    assert len(hooks) > 4
    assert not any(hooks)


def test_a_parameter_belongs_to_the_module_that_holds_it_directly():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2)))
    linear = model[0][0]
    assert parameter_owners(model) == {id(linear.weight): [linear], id(linear.bias): [linear]}


def test_tied_weights_have_two_owners():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    owners = parameter_owners(model)
    assert owners[id(model[0].weight)] == [model[0], model[1]]
    assert [shares_parameters(module, owners) for module in model] == [True, True, False]


def test_a_module_under_two_names_is_one_owner():
    linear = nn.Linear(2, 2)
    model = nn.Sequential(linear, linear)
    assert not shares_parameters(linear, parameter_owners(model))
