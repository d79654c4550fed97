from contextlib import suppress

import pytest
import torch
from torch import nn

from ghostify import GhostifyError
from ghostify.analysis.output_hooks import output_hooks, record_calls


@pytest.fixture
def model():
    return nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh()), nn.Identity())


def hooks_of(model):
    return [hook for module in model.modules() for hook in module._forward_hooks.values()]


def test_calls_in_order_with_input_and_output(model):
    first, second = torch.tensor([-1.0]), torch.tensor([2.0])
    with record_calls(model, ["0", "1.0", "0"]) as calls:
        model(first), model(second)
    assert list(calls) == ["0", "1.0"]
    assert [given.item() for given, _ in calls["0"]] == [-1, 2]
    assert [made.item() for _, made in calls["0"]] == [0, 2]
    assert calls["1.0"][0][0] is calls["0"][0][1]


def test_copies_are_not_changed_in_place(model):
    with record_calls(model, ["2"], copied=True) as calls:
        model(torch.ones(1)).zero_()  # the output of the identity, which is its input
    assert all(tensor.item() > 0.7 for tensor in calls["2"][0])


def test_a_module_that_is_not_called(model):
    with record_calls(model, ["0", "1"]) as calls:
        model[0](torch.zeros(1))
    assert list(calls) == ["0"]
    assert calls["1"] == []


def test_a_result_of_the_hook_replaces_the_output(model):
    with output_hooks(model, ["1"], lambda name, module, inputs, output: output + 5):
        assert model(torch.zeros(1)) == 5
    assert model(torch.zeros(1)) == 0


def test_hooks_are_removed_after_an_exception(model):
    with suppress(KeyError), record_calls(model, ["0", "2"]):
        assert len(hooks_of(model)) == 2
        raise KeyError
    assert not hooks_of(model)


def test_hooks_are_removed_when_a_name_is_unknown(model):
    with (
        pytest.raises(GhostifyError, match="no layer '1.1'; did you mean"),
        record_calls(model, ["0", "1.1"]),
    ):
        pass
    assert not hooks_of(model)
