"""The layer-wise runner against a plain one that recomputes every forward pass: the same bits."""

from contextlib import closing
from itertools import count

import pytest
import torch
from torch import nn

import ghostify
from ghostify.conversion.init import layerwise as layerwise_module
from ghostify.conversion.init.layerwise import (
    Arrival,
    LayerwiseRunner,
    PendingLayer,
    run_forward,
)
from ghostify.types import Fidelity

from .conftest import swap_modules


class RecomputingRunner:
    """Reference implementation of `LayerwiseRunner`: each call costs a forward pass."""

    def __init__(self, model, batches):
        self.model, self.batches = model, batches

    def arrivals(self, pending, calls=1):
        for number, batch in enumerate(self.batches):
            for call in range(calls):
                found = self._call(pending, batch, call, calls > 1)
                if found is None:
                    break
                yield Arrival(number, call, *found)

    def close(self):
        """No forward pass waits."""

    def _call(self, pending, batch, call, past_others):
        """Arguments and other term of one call, or None."""
        calls = count()

        def stop(layer, args, other):
            if layer is pending and next(calls) == call:
                raise Stopped((args, other))
            if layer is not pending and not past_others:
                raise Stopped(None)

        try:
            run_forward(self.model, batch, stop)
        except Stopped as stopped:
            return stopped.found


class Stopped(BaseException):
    def __init__(self, found):
        self.found = found


def conv(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class Residual(nn.Module):
    """A sum behind a BatchNorm, one without, and one in place; the last terms are ``terms``."""

    terms = ("second", "third", "fourth")

    def __init__(self):
        super().__init__()
        self.first, self.second = conv(3, 9), conv(9, 9)
        self.third, self.fourth = conv(9, 9), conv(9, 9)
        self.norm, self.last = nn.BatchNorm2d(9), conv(9, 8)

    def forward(self, x):
        x = self.first(x).relu()
        x = (x + self.norm(self.second(x))).relu()
        x = x + self.third(x)
        y = self.fourth(x.relu())
        y += x
        return self.last(y)


class Branches(nn.Module):
    """Two branches, one of which only some batches take."""

    terms = ()

    def __init__(self):
        super().__init__()
        self.left, self.right, self.sometimes = conv(3, 9), conv(3, 9), conv(9, 9)
        self.last = conv(18, 8)

    def forward(self, x):
        left, right = self.left(x), self.right(x.tanh())
        if x.mean() > 0:
            left = self.sometimes(left)
        return self.last(torch.cat([left, right], 1))


class Reused(nn.Module):
    """A layer with two calls on feature maps of different sizes, and a third by some batches."""

    terms = ()

    def __init__(self):
        super().__init__()
        self.first, self.shared, self.last = conv(3, 9), conv(9, 9), conv(9, 8)

    def forward(self, x):
        x = self.shared(self.first(x)).relu()
        x = self.shared(x[:, :, ::2]).relu()
        return self.last(self.shared(x) if x.mean() > 0.2 else x)


class Named(nn.Module):
    """Inputs by name."""

    terms = ("add",)

    def __init__(self):
        super().__init__()
        self.first, self.add, self.last = conv(3, 9), conv(9, 9), conv(9, 8)

    def forward(self, image, scale):
        x = self.first(image * scale)
        return {"out": self.last(self.add(x) + x)}


NETWORKS = [Residual, Branches, Reused, Named]
CALLS = {"shared": 3}


def batches_for(network):
    images = [torch.randn(4, 3, 8, 8) + shift for shift in (-0.1, 0.0, 0.1)]
    if network is Named:
        return [{"image": x, "scale": torch.full((4, 1, 1, 1), 2.0)} for x in images]
    return images


def arrivals_of(model, batches, make_runner):
    """All that arrives, while each layer is replaced by another one before the next one's turn."""
    layers = {name: layer for name, layer in model.named_children() if name != "norm"}
    pending = {n: PendingLayer(layer, is_term=n in model.terms) for n, layer in layers.items()}
    swap_modules(model, {layers[name]: pending[name] for name in layers})
    found = []
    with closing(make_runner(model, batches)) as runner:
        for name, layer in layers.items():
            for arrival in runner.arrivals(pending[name], CALLS.get(name, 1)):
                other = None if arrival.other is None else arrival.other.clone()
                found.append((name, arrival.batch, arrival.call, arrival.args[0].clone(), other))
            pending[name].install(nn.Sequential(layer, nn.Softplus()))
    swap_modules(model, {pending[name]: layers[name] for name in layers})
    return found


def limited(model, batches):
    """Moves all that it holds to files."""
    return LayerwiseRunner(model, batches, 0)


@pytest.mark.parametrize("make_runner", [LayerwiseRunner, limited])
@pytest.mark.parametrize("network", NETWORKS)
def test_all_arrivals_have_the_same_bits(network, make_runner):
    model, batches = network().eval(), batches_for(network)
    expected = arrivals_of(model, batches, RecomputingRunner)
    found = arrivals_of(model, batches, make_runner)
    assert [arrival[:3] for arrival in found] == [arrival[:3] for arrival in expected]
    assert {arrival[0] for arrival in found} == {n for n, _ in model.named_children()} - {"norm"}
    for (name, *_, x, other), (*_, expected_x, expected_other) in zip(found, expected, strict=True):
        assert torch.equal(x, expected_x)
        assert (other is not None) == (name in model.terms)
        assert other is None or torch.equal(other, expected_other)


@pytest.mark.parametrize("network", NETWORKS)
def test_calibrated_conversions_have_the_same_bits(network, monkeypatch):
    model, batches = network(), batches_for(network)
    with torch.no_grad():
        for batch in batches:
            model(**batch) if isinstance(batch, dict) else model(batch)
    model.eval()
    found = []
    for runner in (RecomputingRunner, LayerwiseRunner):
        monkeypatch.setattr(layerwise_module, "LayerwiseRunner", runner)
        converted = ghostify.convert(model, batches[0], calibration=batches, progress=False)
        found.append((converted.state_dict(), Fidelity.find(converted).residuals))
    (expected, residuals), (state, same) = found
    assert residuals == same
    assert residuals
    assert all(torch.equal(state[name], expected[name]) for name in expected)


def test_modules_are_swapped_under_every_name():
    shared, other = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
    model = nn.ModuleDict({"one": shared, "inner": nn.Sequential(shared, nn.ReLU())})
    swap_modules(model, {shared: other})
    assert model["one"] is other
    assert model["inner"][0] is other
    assert isinstance(model["inner"][1], nn.ReLU)
