import torch
from torch import nn

from ghostify.conversion.init.sample import draw_positions
from ghostify.conversion.init.targets import observe


def network():
    shared = nn.Conv2d(3, 3, 3, stride=2)
    return nn.Sequential(nn.Conv2d(3, 3, 1), shared, nn.ReLU(), shared, nn.Flatten())


def test_values_are_the_feature_maps_at_the_positions():
    model, batches = network().eval(), [torch.randn(2, 3, 9, 9), torch.randn(1, 3, 9, 9)]
    found = observe(model, batches, {"0": 60})["0"]
    for number, batch in enumerate(batches):
        feature_maps, call = model[0](batch), found.calls[number, 0]
        assert (call.shape, len(call.positions)) == ((len(batch), 9, 9), [40, 20][number])
        assert torch.equal(
            call.positions, draw_positions(f"0/{number}/0", call.shape, 40 // (number + 1))
        )
        image, row, column = call.positions.unbind(1)
        assert torch.equal(call.values, feature_maps[image, :, row, column].T)


def test_all_positions_where_there_are_fewer():
    found = observe(network(), [torch.randn(2, 3, 9, 9)], {"1": 1000})["1"]
    assert [len(found.calls[0, call].positions) for call in (0, 1)] == [2 * 16, 2]


def test_a_smaller_feature_map_gives_fewer_by_its_area():
    """First 4x4, then 1x1: 1/16 of 16 positions."""
    found = observe(network(), [torch.randn(2, 3, 9, 9)], {"1": 16})["1"]
    assert found.max_calls == 2
    assert [len(found.calls[0, call].positions) for call in (0, 1)] == [16, 1]


def test_layers_come_in_the_order_of_execution_and_hooks_go():
    model = network()
    found = observe(model, [torch.randn(1, 3, 9, 9)], {"1": 4, "0": 4})
    assert list(found) == ["0", "1"]
    assert not any(module._forward_hooks for module in model.modules())


def test_a_layer_that_does_not_run_is_missing():
    model = network()
    model.spare = nn.Conv2d(3, 3, 1)
    model.forward = lambda x: model[0](x)
    assert list(observe(model, [torch.randn(1, 3, 9, 9)], {"0": 4, "spare": 4})) == ["0"]


def test_a_linear_layer_on_tokens():
    found = observe(nn.Sequential(nn.Linear(3, 5)), [torch.randn(2, 7, 3)], {"0": 100})
    call = found["0"].calls[0, 0]
    assert (call.shape, tuple(call.values.shape)) == ((14, 1, 1), (5, 14))
