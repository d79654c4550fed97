"""Moments of layers, of all the calls that forward passes make."""

import pytest
import torch
from torch import nn

from ghostify.conversion.init import layer_moments
from ghostify.conversion.init.input_moments import InputMoments
from ghostify.conversion.init.layer_moments import LayerMoments, add_moments, in_passes
from ghostify.conversion.init.output_moments import OutputMoments


class Twice(nn.Module):
    """Calls a layer on feature maps and on their means; another one never."""

    def __init__(self):
        super().__init__()
        self.called, self.idle = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

    def forward(self, x):
        return self.called(x).mean() + self.called(nn.functional.avg_pool2d(x, 2)).mean()


def moments():
    return LayerMoments({3: OutputMoments(4, 3, 3)}, InputMoments(3, 3))


@torch.no_grad()
def measured(model, batches):
    layers = {"called": moments(), "idle": moments()}
    steps = sum(1 for _ in add_moments(model, batches, layers))
    assert steps == len(batches)
    return layers


def test_all_calls_of_all_batches_count():
    layers = measured(Twice(), list(torch.randn(6, 3, 8, 8).split(2)))
    assert (layers["called"].calls, layers["idle"].calls) == (6, 0)


def test_the_variance_is_that_of_the_outputs(monkeypatch):
    monkeypatch.setattr(layer_moments, "_POSITIONS", 10**5)  # all positions
    model, batches = Twice(), list(torch.randn(6, 3, 8, 8).split(3))
    found = measured(model, batches)["called"].outputs[3].variance
    inputs = [*batches, *(nn.functional.avg_pool2d(batch, 2) for batch in batches)]
    with torch.no_grad():
        outputs = torch.cat([model.called(x).transpose(0, 1).flatten(1) for x in inputs], 1)
    torch.testing.assert_close(found, outputs.var(1, correction=0), rtol=1e-4, atol=1e-5)


def test_moments_repeat():
    model, batches = Twice(), list(torch.randn(6, 3, 8, 8).split(3))
    first, second = (measured(model, batches)["called"] for _ in range(2))
    assert torch.equal(first.outputs[3].variance, second.outputs[3].variance)
    assert torch.equal(first.inputs.covariances()[0], second.inputs.covariances()[0])


@pytest.mark.parametrize(
    ("limit", "passes"), [(1, [["a"], ["b"], ["c"]]), (2, [["a", "b"], ["c"]])]
)
def test_passes_fit_into_memory(limit, passes, monkeypatch):
    monkeypatch.setattr(layer_moments, "_MAX_BYTES", limit * moments().bytes)
    assert in_passes({name: moments() for name in "abc"}) == passes
    assert in_passes({}) == []
