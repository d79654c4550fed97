"""The order of outputs and the biases that an initializer gave, in and out of state dicts."""

import copy
import pickle

import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError, GhostModule
from ghostify.types import Fidelity

X = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def ordered(bias=True):
    module = GhostModule(3, 7, 3, bias=bias, ratio=3)
    module.order = torch.randperm(7)
    return module


def test_the_order_is_of_the_outputs():
    module = ordered()
    plain = copy.deepcopy(module)
    plain.order = None
    assert torch.equal(module(X), plain(X)[:, module.order])
    torch.testing.assert_close(module(X[0]), module(X)[0])


@pytest.mark.parametrize("bias", [True, False])
def test_a_state_dict_brings_order_and_biases_along(bias):
    module, other = ordered(bias), GhostModule(3, 7, 3, bias=False, ratio=3)
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(X), module(X))
    assert list(other.state_dict()) == list(module.state_dict())
    assert all(p.requires_grad for p in other.parameters())
    assert len(list(other.parameters())) == len(list(module.parameters()))


def test_biases_of_a_state_dict_are_frozen_with_the_weights():
    other = GhostModule(3, 7, 3, bias=False, ratio=3).requires_grad_(False)
    other.load_state_dict(ordered().state_dict())
    assert torch.equal(other(X), other(X).detach())
    assert [p.requires_grad for p in other.parameters()] == 4 * [False]


def test_it_is_no_parameter_and_keeps_its_type():
    module = ordered()
    assert "order" in dict(module.named_buffers())
    assert module.half().order.dtype == torch.int64
    assert torch.equal(
        ordered().double()(X.double()).float().isfinite(), torch.ones(2, 7, 4, 4) > 0
    )


def test_without_an_order_there_is_none_in_the_state_dict():
    assert "order" not in GhostModule(3, 7, 3).state_dict()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_have_it(copied):
    module = ordered()
    assert torch.equal(copied(module)(X), module(X))


def test_an_order_for_another_number_of_outputs_is_refused():
    module = ordered()
    state = module.state_dict() | {"order": torch.arange(5)}
    with pytest.raises(RuntimeError, match="size mismatch for order"):
        module.load_state_dict(state)


@pytest.mark.parametrize("normed", [True, False])
def test_a_calibrated_network_is_saved_and_loaded(tmp_path, normed):
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.Conv2d(8, 17, 3, bias=False),
        nn.BatchNorm2d(17) if normed else nn.ReLU(),
        nn.Conv2d(17, 9, 1),
    )
    images = torch.randn(12, 3, 9, 9)
    converted = ghostify.convert(model, X[:1], calibration=images, dw_size=1).eval()
    assert any(name.endswith("order") for name in converted.state_dict())
    again = ghostify.load(ghostify.save(converted, tmp_path / "out"), model.eval())
    assert torch.equal(again(images), converted(images))
    assert Fidelity.find(again) == Fidelity.find(converted)
    twin = ghostify.convert(model, X[:1], dw_size=1).eval()
    twin.load_state_dict(converted.state_dict())
    assert torch.equal(twin(images), converted(images))


def test_a_record_that_is_none_is_refused():
    for data in (None, [], {"agreement": None, "notes": [], "other": 1}):
        with pytest.raises(GhostifyError, match="invalid fidelity"):
            Fidelity.from_dict(data)


def test_a_state_dict_without_an_order_takes_it_away():
    module, other = ordered(), ordered()
    module.order = None
    other.load_state_dict(module.state_dict())
    assert other.order is None
    assert torch.equal(other(X), module(X))
