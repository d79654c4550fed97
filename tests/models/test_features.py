import pytest
import torch

from ghostify import GhostifyError, models


def test_strides_for_a_feature_pyramid():
    features = models.GhostFeatures(models.ghostnet(1.1))
    assert features.channels == (28, 44, 124, 176)
    assert features.strides == (4, 8, 16, 32)
    maps = features.eval()(torch.randn(1, 3, 70, 64))
    shapes = [(1, 28, 18, 16), (1, 44, 9, 8), (1, 124, 5, 4), (1, 176, 3, 2)]
    assert [tuple(m.shape) for m in maps] == shapes


def test_they_are_the_networks_own_layers():
    network = models.ghostnet(0.5)
    features = models.GhostFeatures(network)
    state = network.state_dict()
    assert features.state_dict().keys() == {
        name
        for name in state
        if name.startswith(("conv_stem", "bn1", "blocks")) and not name.startswith("blocks.9")
    }
    assert all(tensor is not None for tensor in features.state_dict().values())
    assert features.blocks[8][3].ghost1 is network.blocks[8][3].ghost1


def test_the_last_map_is_what_the_head_gets():
    network = models.ghostnet(0.5, num_classes=5).eval()
    image = torch.randn(1, 3, 64, 64)
    seen = []
    network.blocks[9].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    network(image)
    assert torch.equal(models.GhostFeatures(network)(image)[-1], seen[0])


def test_within_a_stage_and_no_further():
    network = models.ghostnet(0.5)
    features = models.GhostFeatures(network, taps=[1, 7])
    assert [len(stage) for stage in features.blocks] == [1, 1, 1, 1, 1, 1, 1]
    assert features.strides == (2, 16)
    assert [m.shape[1] for m in features.eval()(torch.randn(1, 3, 64, 64))] == [8, 40]


@pytest.mark.parametrize("taps", [[], [0], [17], [5, 3], [3, 3], [2.5]])
def test_taps_that_are_none(taps):
    with pytest.raises(GhostifyError, match="`taps` .* must be ascending numbers from 1 to 16"):
        models.GhostFeatures(models.ghostnet(0.5), taps=taps)
