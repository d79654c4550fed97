import math

import pytest
import torch
from torch import nn

from ghostify.training.feature_maps import compared_layers, measure_scales, scale_of

from .conftest import images


def by_name(layers):
    def listed(index):
        return None if index is None else index.tolist()

    return {
        layer.name: (layer.output, listed(layer.kept_inputs), listed(layer.kept_outputs))
        for layer in layers
    }


def test_ghost_modules_are_compared_behind_their_batch_norm(teacher, student):
    found = by_name(compared_layers(teacher, student, images(1)))
    assert found == {"conv": ("norm", None, None), "last": ("last", None, None)}


def test_narrowed_layers_and_their_readers_are_compared_by_the_kept_channels(narrowed):
    teacher, student = narrowed
    last = [0, 1, 3]
    flat = [place for channel in last for place in range(16 * channel, 16 * channel + 16)]
    assert by_name(compared_layers(teacher, student, images(1))) == {
        "first": ("norm", None, [0, 2, 3, 5, 7]),
        "last": ("last", [0, 2, 3, 5, 7], last),
        "head": ("head", flat, None),
    }


def test_channels_of_another_teacher_are_not_compared(narrowed):
    teacher, student = narrowed
    assert compared_layers(student, student, images(1)) == ()
    teacher.first = nn.Conv2d(3, 8, 5, padding=2)
    assert compared_layers(teacher, student, images(1)) == ()


def test_scales_are_those_of_the_kept_channels(narrowed):
    teacher, student = narrowed
    layers = compared_layers(teacher, student, images(1))
    teacher.last.weight.data[2] *= 1e3  # it is dropped
    with torch.no_grad():
        scales = measure_scales(teacher, layers, images(8))
        maps = teacher.last(teacher.depthwise(teacher.norm(teacher.first(images(8))).relu()))
    assert scales["last"] == (scale_of(maps.relu()[:, [0, 1, 3]]),)
    assert scales.keys() == {"", "norm", "last", "head"}


def test_a_scale_is_the_variance_around_the_mean_of_each_channel():
    maps = torch.tensor([[[1.0, 3.0]], [[10.0, 10.0]]]).transpose(0, 1)  # 1 x 2 x 2
    assert scale_of(maps) == 0.5  # (1 + 1 + 0 + 0) / 4
    assert scale_of(torch.tensor([1.0, 3.0])) == 1
    assert scale_of(torch.full((2, 3), 10.0)) == pytest.approx(0.01)
    assert scale_of(torch.zeros(0, 4)) == math.inf
