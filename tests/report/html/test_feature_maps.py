"""Feature maps as pictures."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import ghostify
from ghostify import GhostifyError
from ghostify.report.html.feature_maps import feature_map_images


def picture(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def levels(maps, low, high):
    return ((maps - low) / (high - low) * 255).round().byte().numpy()


@pytest.fixture
def pair(small_net, image):
    small_net.eval()
    calibration = torch.randn(24, 3, 16, 16)
    options = {"calibration": calibration, "outputs": "classes"}
    return small_net, ghostify.convert(small_net, image, **options).eval()


def test_pictures_show_the_feature_maps_of_the_layer(pair, image):
    small_net, ghost = pair
    seen = feature_map_images(ghost, image, small_net)
    assert [site["name"] for site in seen["sites"]] == ["wide", "project"]
    wide = seen["sites"][0]
    assert wide["size"] == [8, 8]
    assert len(wide["maps"]) == 6
    with torch.no_grad():
        entering = small_net.stem(image).relu()
        known, made = small_net.wide(entering)[0], ghost.wide(entering)[0]
    for found in wide["maps"]:
        channel, source = found["channel"], found["source"]
        both = torch.stack([known[channel], made[channel]])
        span = float(both.min()), float(both.max())
        np.testing.assert_array_equal(picture(found["ghost"]), levels(made[channel], *span))
        np.testing.assert_array_equal(picture(found["original"]), levels(known[channel], *span))
        own = made[source]
        shown = picture(found["intrinsic"])
        np.testing.assert_array_equal(shown, levels(own, float(own.min()), float(own.max())))


def test_a_ghost_is_computed_from_its_intrinsic_map(pair, image):
    """The cheap kernel, applied to the intrinsic map."""
    _, ghost = pair
    wide = ghost.wide
    order = wide.order.tolist() if wide.order is not None else list(range(32))
    with torch.no_grad():
        maps = wide(ghost.stem(image).relu())[0]
        cheap = wide.cheap_operation[0]
        for found in feature_map_images(ghost, image)["sites"][0]["maps"]:
            place = order[found["channel"]] - 16
            source = maps[found["source"]][None, None]
            made = nn.functional.conv2d(source, cheap.weight[place][None], padding=1)[0, 0]
            made = made + (cheap.bias[place] if cheap.bias is not None else 0)
            torch.testing.assert_close(made, maps[found["channel"]], rtol=1e-4, atol=1e-5)


def test_the_most_likely_classes(pair, image):
    small_net, ghost = pair
    seen = feature_map_images(ghost, image, small_net)
    for classes, net in ((seen["classes"], ghost), (seen["original_classes"], small_net)):
        chances = net(image)[0].softmax(0)
        assert [label for label, _ in classes] == chances.topk(5).indices.tolist()
        assert [share for _, share in classes] == pytest.approx(chances.topk(5).values.tolist())


def test_without_the_original(pair, image):
    seen = feature_map_images(pair[1], image)
    assert seen["original_classes"] is None
    assert {pair["original"] for site in seen["sites"] for pair in site["maps"]} == {None}


def test_outputs_that_are_not_logits(image):
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3))
    assert feature_map_images(ghostify.convert(net, image), image)["classes"] is None


def test_feature_maps_that_are_too_small():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3))
    example = torch.randn(1, 3, 7, 7)
    with pytest.raises(GhostifyError, match="no Ghost module has feature maps of 5x5 or more"):
        feature_map_images(ghostify.convert(net, example), example)
