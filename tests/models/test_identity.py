"""Which weights a network has."""

import pytest
import torch
from torch import nn
from torchvision import models as torchvision

import ghostify
from ghostify import GhostifyError, models
from ghostify.models.identity import (
    check_original,
    file_digest,
    identify,
    is_untrained,
    weights_digest,
)
from ghostify.types import ModelSource, OriginalWeights


def plain(bias=True):
    return nn.Sequential(nn.Conv2d(3, 8, 3, bias=bias), nn.ReLU(), nn.Conv2d(8, 8, 3, bias=bias))


def test_a_digest_is_of_values_names_and_types(small_net):
    digest = weights_digest(small_net)
    assert digest == weights_digest(small_net.to(memory_format=torch.channels_last))
    assert digest != weights_digest(nn.ModuleDict({"net": small_net}))
    small_net.head.bias.data[0] += 1
    changed = weights_digest(small_net)
    assert len({digest, changed, weights_digest(small_net.double())}) == 3


@pytest.mark.parametrize(
    "build",
    [
        torchvision.resnet18,
        torchvision.mobilenet_v3_small,
        torchvision.vgg11,  # no norms, and biases of 0
        torchvision.convnext_tiny,  # layer norms
        plain,
        lambda: plain(bias=False).half(),
    ],
)
def test_random_networks_are_untrained(build):
    assert is_untrained(build())


@pytest.mark.parametrize("bias", [True, False])
def test_a_few_steps_of_training_show_without_norms(bias):
    network = plain(bias)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.3)
    for _ in range(20):
        network(torch.randn(4, 3, 8, 8)).square().mean().backward()
        optimizer.step()
    assert not is_untrained(network)


def test_a_norm_that_has_seen_images_is_trained(small_net):
    assert not is_untrained(small_net)
    small_net.norm.reset_running_stats()
    assert is_untrained(small_net)


def test_where_weights_were_loaded_from(small_net, tmp_path):
    torch.save(small_net.state_dict(), tmp_path / "net.pt")
    models.load_weights(small_net, tmp_path / "net.pt")
    found = identify(small_net)
    assert (found.file, found.trained) == (str(tmp_path / "net.pt"), True)
    small_net.head.bias.data += 1  # trained on: the file is of the past
    assert identify(small_net).file is None


def test_the_librarys_name_of_weights(monkeypatch):
    monkeypatch.setattr(
        "torchvision.models._api.WeightsEnum.get_state_dict",
        lambda *_, **__: torchvision.squeezenet1_1().state_dict(),
    )
    named = [
        identify(models.build(ModelSource("squeezenet1_1"), pretrained=pretrained)[0]).name
        for pretrained in (True, "IMAGENET1K_V1", False)
    ]
    assert named == ["IMAGENET1K_V1", "IMAGENET1K_V1", None]


def test_a_conversion_is_known_by_its_original(small_net, image):
    ghost = ghostify.convert(small_net, image)
    ghost.head.bias.data += 1
    again = ghostify.convert(ghost, image, stem=True)
    assert OriginalWeights.find(again) == identify(ghost) == identify(small_net)


def test_an_original_of_other_weights(small_net, image):
    weights = OriginalWeights.find(ghostify.convert(small_net, image))
    check_original(small_net, weights)
    small_net.head.bias.data += 1
    with pytest.raises(GhostifyError, match="`teacher` has other weights than the network"):
        check_original(small_net, weights)


@pytest.mark.parametrize("layer", [nn.Linear(4, 3), nn.Conv2d(3, 40, 3), nn.Conv1d(2, 4, 3)])
def test_weights_outside_of_what_is_drawn_are_trained(layer):
    assert is_untrained(layer)
    layer.weight.data[0] *= 3
    assert not is_untrained(layer)


def test_weights_that_shrank_are_trained():
    """The largest of many random weights is near the end of their range; of a few it need not."""
    large, small = nn.Conv2d(3, 40, 3), nn.Conv2d(3, 2, 3)
    large.weight.data *= 0.8
    small.weight.data *= 0.8
    assert not is_untrained(large)
    assert is_untrained(small)


def test_a_network_whose_biases_are_zero_is_untrained():
    layer = nn.Conv2d(3, 40, 3)
    layer.weight.data *= 3
    layer.bias.data.zero_()
    assert is_untrained(layer)
    layer.bias.data[0] = 1
    assert not is_untrained(layer)
    assert not is_untrained(nn.Flatten())  # no layer, nothing to train
    assert is_untrained(nn.BatchNorm2d(4))


@pytest.mark.parametrize("part", ["running_mean", "bias"])
def test_one_norm_that_has_changed_is_enough(part):
    network = nn.Sequential(nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.BatchNorm2d(4))
    assert is_untrained(network)
    getattr(network[2], part).data[1] = 0.1
    assert not is_untrained(network)


def test_converted_from_a_random_network(small_net):
    random = OriginalWeights(weights_digest(small_net), trained=False)
    with pytest.raises(GhostifyError, match="converted from a randomly initialized one: convert"):
        check_original(small_net, random)
    check_original(small_net, None)
    with pytest.raises(GhostifyError, match="`x` appears to be randomly initialized: load its"):
        check_original(nn.Conv2d(3, 40, 3), None, "`x`")


def test_the_digest_of_a_file(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_digest(tmp_path / "x") == known


def test_the_meta_device_has_no_weights(small_net):
    assert identify(small_net.to("meta")) is None
