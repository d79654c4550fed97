"""Feature maps as pictures."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import ghostify
from ghostify import GhostifyError, GhostSpec, Plan
from ghostify.io.measurements import record
from ghostify.report.html.feature_maps import feature_map_images
from ghostify.types import Decision


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
    with pytest.raises(GhostifyError, match="no changed layer has feature maps of 5x5 or more"):
        feature_map_images(ghostify.convert(net, example), example)


@pytest.fixture
def chain(image):
    """A network whose middle convolution can lose channels."""
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(),
        nn.Conv2d(12, 8, 1),
    )  # fmt: skip
    return net.eval()


def pruned(net, image, ghost):
    decisions = [
        replace(d, ghost=ghost, keep=None if ghost else "by hand", width=6,
                channels=(1, 2, 5, 7, 8, 11))
        if d.site.name == "2" else Decision(d.site, keep="by hand")
        for d in ghostify.plan(net, image, ratio=2).decisions
    ]  # fmt: skip
    return ghostify.convert(net, image, plan=Plan(tuple(decisions)), init="random").eval()


@pytest.mark.parametrize("ghost", [GhostSpec(), None])
def test_a_pruned_layer_is_shown_with_the_originals_channels(chain, image, ghost):
    left = [1, 2, 5, 7, 8, 11]
    converted = pruned(chain, image, ghost)
    (site,) = feature_map_images(converted, image, chain)["sites"]
    assert site["name"] == "2"
    with torch.no_grad():
        known, made = chain[:3](image)[0], converted[:3](image)[0]
    assert len(made) == 6
    assert len(site["maps"]) == (3 if ghost else 6)
    for found in site["maps"]:
        channel = found["channel"]
        new = made[left.index(channel)]
        both = torch.stack([known[channel], new])
        span = float(both.min()), float(both.max())
        np.testing.assert_array_equal(
            picture(found["ghost" if ghost else "converted"]), levels(new, *span)
        )
        np.testing.assert_array_equal(picture(found["original"]), levels(known[channel], *span))
        if ghost:
            own = made[left.index(found["source"])]
            shown = levels(own, float(own.min()), float(own.max()))
            np.testing.assert_array_equal(picture(found["intrinsic"]), shown)
        else:
            assert not {"source", "intrinsic", "ghost"} & set(found)


def test_a_page_with_maps_of_pruned_layers(chain, image, artifact, read):
    for ghost, roles in ((GhostSpec(), 3), (None, 2)):
        seen = feature_map_images(pruned(chain, image, ghost), image, chain)
        record(artifact, "feature-maps", seen)
        page = read(ghostify.write_report(artifact))
        assert "Feature maps" in page.headings
        assert ("A Ghost module computes intrinsic maps" in page.words) == (ghost is not None)
        rows = [given for tag, given in page.tags if tag == "div" and given.get("class") == "row"]
        assert len(rows) == roles
