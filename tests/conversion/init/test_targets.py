import torch
from torch import nn

from ghostify.conversion.init.patches import draw_positions
from ghostify.conversion.init.targets import key, observe


def network():
    shared = nn.Conv2d(3, 3, 3, stride=2)
    return nn.Sequential(nn.Conv2d(3, 3, 1), shared, nn.ReLU(), shared, nn.Flatten())


def test_values_are_the_maps_at_the_positions():
    model, batches = network().eval(), [torch.randn(2, 3, 9, 9), torch.randn(1, 3, 9, 9)]
    found = observe(model, batches, {"0": 60})
    for number, batch in enumerate(batches):
        maps = model[0](batch)
        size, values = found["0"].samples[number, 0]
        assert (size, len(values)) == ((9, 9), [40, 20][number])
        image, row, column = draw_positions(key("0", number, 0), len(maps), size, 60).unbind(1)
        drawn = draw_positions(key("0", number, 0), len(maps), size, len(values))
        image, row, column = drawn.unbind(1)
        assert torch.equal(values, maps[image, :, row, column])


def test_all_positions_where_there_are_fewer():
    found = observe(network(), [torch.randn(2, 3, 9, 9)], {"1": 1000})
    assert [len(found["1"].samples[0, call][1]) for call in (0, 1)] == [2 * 16, 2]


def test_a_smaller_map_gives_fewer_by_its_area():
    """4x4 maps first, and 1x1 then: 1/16 of 64, rounded up, but there are only 2."""
    found = observe(network(), [torch.randn(2, 3, 9, 9)], {"1": 16})
    assert found["1"].calls == 2
    assert [len(found["1"].samples[0, call][1]) for call in (0, 1)] == [16, 1]


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
    size, values = found["0"].samples[0, 0]
    assert (size, tuple(values.shape)) == ((1, 1), (14, 5))
