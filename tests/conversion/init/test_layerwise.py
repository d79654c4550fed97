"""Forward passes that wait, against ones that run through."""

import threading
from contextlib import closing

import pytest
import torch
from torch import nn

from ghostify import GhostifyError
from ghostify.conversion.init.layerwise import LayerwiseRunner, PendingLayer
from ghostify.conversion.init.scratch import HeldTensors, storages_of

from .conftest import swap_modules

BATCHES = [torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(i)) for i in (2, 3, 5)]


class Branching(nn.Module):
    """Two branches, a layer with two calls, and one that only some batches reach."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 1)
        self.b = nn.Conv2d(3, 4, 1)
        self.twice = nn.Conv2d(4, 4, 1)
        self.sometimes = nn.Conv2d(4, 4, 1)
        self.last = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        a, b = self.a(x), self.b(x)
        y = self.twice(a).relu() + self.twice(b.tanh())
        if x.mean() > 0:
            y = self.sometimes(y)
        return self.last(y + a)


ORDER = [("a", 1), ("b", 1), ("twice", 2), ("sometimes", 1), ("last", 1)]


def expected_inputs(model):
    """By layer, batch and call, in an ordinary forward pass."""
    seen = {}
    for number, batch in enumerate(BATCHES):
        handles = []
        for name, _ in ORDER:

            def hook(_, args, name=name, number=number):
                calls = sum(key[:2] == (name, number) for key in seen)
                seen[name, number, calls] = args[0]

            handles.append(model.get_submodule(name).register_forward_pre_hook(hook))
        with torch.no_grad():
            model(batch)
        for handle in handles:
            handle.remove()
    return seen


def with_pending_layers(model):
    pending = {name: PendingLayer(model.get_submodule(name)) for name, _ in ORDER}
    swap_modules(model, {pending[name].layer: pending[name] for name in pending})
    return pending


def arrivals_of(model, limit):
    """All arrivals, where the output of each layer is doubled before the next one's turn."""
    pending, seen, order = with_pending_layers(model), {}, []
    with closing(LayerwiseRunner(model, BATCHES, limit)) as runner:
        for name, calls in ORDER:
            for arrival in runner.arrivals(pending[name], calls):
                order.append((name, arrival.batch, arrival.call))
                seen[name, arrival.batch, arrival.call] = arrival.args[0].clone()
            pending[name].install(nn.Sequential(pending[name].layer, Twofold()))
    return seen, order


class Twofold(nn.Module):
    def forward(self, x):
        return 2 * x


def doubled(model):
    layers = {model.get_submodule(name) for name, _ in ORDER}
    for layer in layers:
        layer.register_forward_hook(lambda _, __, output: 2 * output)
    return model


def threads():
    return [t for t in threading.enumerate() if t is not threading.main_thread()]


@pytest.mark.parametrize("limit", [0, 2**29])
def test_inputs_come_from_the_installed_layers(limit):
    model = Branching()
    twin = Branching()
    twin.load_state_dict(model.state_dict())
    expected = expected_inputs(doubled(twin))
    seen, _ = arrivals_of(model, limit)
    assert set(seen) == set(expected)
    assert any(key[0] == "sometimes" for key in seen)
    for key, value in expected.items():
        torch.testing.assert_close(seen[key], value)


def test_each_batch_once_and_in_order():
    _, order = arrivals_of(Branching(), 2**29)
    for name, calls in ORDER:
        found = [(batch, call) for layer, batch, call in order if layer == name]
        all_of_them = [(batch, call) for batch in range(3) for call in range(calls)]
        if name == "sometimes":
            assert 0 < len(found) < 3
            assert found == sorted(set(found))
        else:
            assert found == all_of_them


def test_recomputed_passes_have_the_same_bits():
    model = Branching()
    twin = Branching()
    twin.load_state_dict(model.state_dict())
    (first, order), (second, again) = arrivals_of(model, 0), arrivals_of(twin, 2**29)
    assert order == again
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(("limit", "passes"), [(2**29, 1), (0, 2)])
def test_passes_over_the_limit_that_cannot_move_to_files_begin_again(limit, passes, monkeypatch):
    """Nothing is held at the first of three layers, and nothing waits behind the third."""
    as_on_a_gpu = HeldTensors.bytes_in_memory
    monkeypatch.setattr(HeldTensors, "move_to_files", as_on_a_gpu)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))
    begun = []
    model.register_forward_pre_hook(lambda *_: begun.append(1))
    pending = [PendingLayer(layer) for layer in model]
    swap_modules(model, {place.layer: place for place in pending})
    with closing(LayerwiseRunner(model, BATCHES[:1], limit)) as runner:
        for place in pending:
            assert len(list(runner.arrivals(place))) == 1
            place.install(place.layer)
    assert len(begun) == passes


def test_passes_over_the_limit_move_to_files_and_go_on():
    class Sharing(nn.Module):
        """Holds a view of a feature map that is written to later."""

        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)

        def forward(self, x):
            y = self.first(x)
            part = y[:, 1:3]
            z = self.last(y)
            part += 1
            return self.last(y + z)

    model, begun = Sharing(), []
    expected = model(BATCHES[0])
    model.register_forward_pre_hook(lambda *_: begun.append(1))
    pending = {name: PendingLayer(model.get_submodule(name)) for name in ("first", "last")}
    swap_modules(model, {place.layer: place for place in pending.values()})
    outputs = []
    model.register_forward_hook(lambda _, __, output: outputs.append(output))
    with closing(LayerwiseRunner(model, BATCHES[:1], 0)) as runner:
        for place in pending.values():
            list(runner.arrivals(place))
            assert runner.waiting[0].held.bytes_in_memory() == 0
            place.install(place.layer)
        assert runner.waiting[0].advance_to(PendingLayer(nn.Identity()), True) is False
    assert begun == [1]
    torch.testing.assert_close(outputs, [expected])


def test_no_thread_is_left():
    before = threads()
    arrivals_of(Branching(), 2**29)
    assert threads() == before


def test_closing_early_leaves_no_thread():
    before, model = threads(), Branching()
    pending = with_pending_layers(model)
    with closing(LayerwiseRunner(model, BATCHES, 2**29)) as runner:
        next(runner.arrivals(pending["a"]))
        list(runner.arrivals(pending["a"]))
        assert len(threads()) > len(before)
    assert threads() == before


@pytest.mark.parametrize("error", [RuntimeError("no such\nthing"), SystemExit("no such")])
def test_errors_of_the_model(error):
    class Broken(Branching):
        def forward(self, x):
            self.a(x)
            raise error

    before, model = threads(), Broken()
    pending = with_pending_layers(model)
    with closing(LayerwiseRunner(model, BATCHES, 2**29)) as runner:
        assert len(list(runner.arrivals(pending["a"]))) == 3
        pending["a"].install(pending["a"].layer)
        with pytest.raises(GhostifyError, match="Broken does not run on .* data: no such$"):
            list(runner.arrivals(pending["b"]))
    assert threads() == before


def test_a_model_that_catches_exceptions():
    class Stubborn(Branching):
        def forward(self, x):
            try:
                return self.b(self.a(x))
            except Exception:
                return self.b(x)

    before, model = threads(), Stubborn()
    pending = with_pending_layers(model)
    with closing(LayerwiseRunner(model, BATCHES, 0)) as runner:
        assert len(list(runner.arrivals(pending["a"]))) == 3
    assert threads() == before


def test_held_bytes_are_those_of_feature_maps():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1))
    pending = PendingLayer(model[2])
    swap_modules(model, {model[2]: pending})
    with closing(LayerwiseRunner(model, BATCHES[:1], 2**29)) as runner:
        list(runner.arrivals(pending))
        held = runner.waiting[0].held.bytes_in_memory(storages_of(model))
    assert held == 2 * 4 * 36 * 4
