from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ghostify.analysis.model_copy import copy_model, frozen_copy, meta_copy


@pytest.mark.parametrize("copy_function", [copy_model, meta_copy])
@pytest.mark.parametrize(
    "holder",
    [
        lambda computed: computed,
        lambda computed: [computed, {"deep": (computed,)}],
        lambda computed: SimpleNamespace(seen=computed),
    ],
)
def test_non_leaf_tensors_are_copied(copy_function, holder):
    model = nn.Conv2d(3, 4, 1)
    model.kept = holder(2 * model.weight)
    assert type(copy_function(model).kept) is type(model.kept)


def test_a_non_leaf_tensor_is_copied_once_without_history():
    model = nn.Conv2d(3, 4, 1)
    model.computed = 2 * model.weight
    model.cache = {"weight": model.computed}
    copied = copy_model(model)
    assert copied.cache["weight"] is copied.computed
    assert torch.equal(copied.computed, model.computed)
    assert (copied.computed.requires_grad, model.computed.requires_grad) == (False, True)


def test_a_buffer_may_be_computed():
    model = nn.Conv2d(3, 4, 1)
    model.register_buffer("computed", 2 * model.weight)
    assert torch.equal(copy_model(model).computed, model.computed)


def test_what_is_not_exchanged_is_not_shared():
    model = nn.BatchNorm2d(3)
    copied = copy_model(model, {model.bias: model.bias})
    assert copied.bias is model.bias
    for name in ("weight", "running_mean"):
        assert getattr(copied, name).data_ptr() != getattr(model, name).data_ptr()


def test_a_frozen_copy_shares_parameters_only():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    model[0].bias.requires_grad_(False)
    copied = frozen_copy(model)
    assert [p.data_ptr() for p in copied.parameters()] == [p.data_ptr() for p in model.parameters()]
    assert not any(p.requires_grad for p in copied.parameters())
    assert [p.requires_grad for p in model.parameters()] == [True, False, True, True]
    assert (copied.training, model.training) == (False, True)
    copied[1].running_mean.fill_(1)
    assert not model[1].running_mean.any()


def test_a_frozen_copy_keeps_tied_weights_tied():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    copied = frozen_copy(model)
    assert copied[1].weight is copied[0].weight
