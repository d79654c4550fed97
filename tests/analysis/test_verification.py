from collections import namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError, Plan
from ghostify.analysis.verification import (
    ReferenceOutput,
    bisect_failures,
    describe_output,
    reference_outputs,
)


@dataclass
class Output:
    boxes: torch.Tensor
    loss: float | None = None


Pair = namedtuple("Pair", ["first", "second"])


@pytest.mark.parametrize(
    ("value", "exact", "text"),
    [
        (torch.zeros(2, 3), True, "float32[2, 3]"),
        (torch.zeros(2, 3).half(), False, "float16[2-D]"),
        ([torch.zeros(1), None], True, "list(float32[1], NoneType)"),
        ({"a": torch.zeros(1)}, True, "dict(a: float32[1])"),
        (Output(torch.zeros(1)), True, "Output(boxes: float32[1], loss: NoneType)"),
        (Pair(torch.zeros(1), 2), True, "Pair(float32[1], int)"),
    ],
)
def test_describe_output(value, exact, text):
    assert describe_output(value, exact=exact) == text


def failing_with(*groups):
    """Something is wrong as soon as all sites of one of these groups are replaced."""
    return lambda names: "wrong" if any(set(group) <= set(names) for group in groups) else None


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        ([], set()),
        (["c"], {"c"}),
        (["a", "g"], {"a", "g"}),
        (["d", "e", "f"], {"d", "e", "f"}),
        (["ag"], set("abcdefg")),
    ],
)
def test_bisection(groups, found):
    assert set(bisect_failures("abcdefg", failing_with(*groups))) == found


def test_bisection_needs_few_trials():
    trials = []
    names = [str(number) for number in range(256)]
    bisect_failures(names, lambda tried: trials.append(1) or failing_with(["77"])(tried))
    assert len(trials) <= 2 * 8 + 1


class Reads(nn.Module):
    """Its forward wants something of ``odd`` that only a Conv2d has."""

    def __init__(self, forward):
        super().__init__()
        for name in ("stem", "odd", "plain"):
            self.add_module(name, nn.Conv2d(3 if name == "stem" else 8, 8, 3, padding=1))
        self.body = forward

    def forward(self, x):
        y = self.plain(self.odd(self.stem(x)))
        return self.body(self, y)


@pytest.mark.parametrize(
    ("forward", "text"),
    [
        (lambda m, y: y if m.odd.transposed is False else None, "no attribute 'transposed'"),
        (lambda m, y: y[:, : len(m.odd.bias)], "no attribute 'bias'"),
        (lambda m, y: y if isinstance(m.odd, nn.Conv2d) else y[:, :1], "output is float32[1, 1,"),
        (lambda m, y: m.odd.bias.sum() if m.training else y, "no attribute 'bias'"),
    ],
)
def test_a_site_that_breaks_the_model_is_put_back_and_named(forward, text):
    model, example = Reads(forward), torch.zeros(1, 3, 8, 8)
    ghost = ghostify.convert(model, example)
    decisions = {d.site.name: d for d in Plan.of(ghost).decisions}
    if decisions["odd"].keep != "its weight is read outside its own call":
        assert decisions["odd"].keep.startswith("put back: ")
        assert text in decisions["odd"].keep
    assert set(Plan.of(ghost).replaced) == {"plain"}
    assert type(ghost.odd) is nn.Conv2d
    assert torch.equal(ghost.odd.weight, model.odd.weight)
    kept = {k.site.name: k.reason for k in ghostify.compare(model, ghost, example).kept}
    assert set(kept) == {"stem", "odd"}


def test_without_verification_nothing_is_put_back():
    model = Reads(lambda m, y: y if m.odd.transposed is False else None)
    ghost = ghostify.convert(model, torch.zeros(1, 3, 8, 8), verify=False)
    assert set(Plan.of(ghost).replaced) == {"odd", "plain"}


def test_every_site_put_back_is_an_error():
    def forward(m, y):
        return y if all(type(c) is nn.Conv2d for c in (m.odd, m.plain)) else y[:, :1]

    with pytest.raises(GhostifyError, match=r"nothing to replace in Reads: .*put back: the output"):
        ghostify.convert(Reads(forward), torch.zeros(1, 3, 8, 8))


def test_training_mode_is_not_verified_if_the_original_does_not_run_in_it():
    def forward(m, y):
        if m.training:
            raise RuntimeError("inference only")
        return y

    ghost = ghostify.convert(Reads(forward), torch.zeros(1, 3, 8, 8))
    assert set(Plan.of(ghost).replaced) == {"odd", "plain"}


def test_a_batch_of_one_is_enough_where_training_needs_two():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(8)
    )
    ghost = ghostify.convert(model, torch.zeros(1, 3, 8, 8))
    assert set(Plan.of(ghost).replaced) == {"1"}


def test_sizes_that_depend_on_values_may_differ():
    def forward(m, y):
        return y[y > y.mean()]

    ghost = ghostify.convert(Reads(forward), torch.rand(1, 3, 8, 8))
    assert set(Plan.of(ghost).replaced) == {"odd", "plain"}


def test_what_is_left_after_putting_back_is_verified_again():
    def forward(m, y):
        assert m.odd.transposed is False
        if type(m.plain) is not nn.Conv2d and type(m.last) is not nn.Conv2d:
            raise RuntimeError("both of them")
        return m.last(y)

    model = Reads(forward)
    for name in ("last", "fine", "good"):
        model.add_module(name, nn.Conv2d(8, 8, 3, padding=1))
    model.body = lambda m, y: m.good(m.fine(forward(m, y)))
    ghost = ghostify.convert(model, torch.zeros(1, 3, 8, 8))
    assert set(Plan.of(ghost).replaced) == {"fine", "good"}


def test_a_train_that_returns_nothing():
    class Frozen(Reads):
        def train(self, mode=True):
            super().train(mode)
            self.stem.eval()

    model = Frozen(lambda m, y: y)
    ghost = ghostify.convert(model, torch.zeros(1, 3, 8, 8))
    assert len(ghostify.compare(model, ghost, torch.zeros(1, 3, 8, 8)).replaced) == 2


def test_a_batch_of_one_is_doubled_where_training_needs_two():
    net = nn.Sequential(nn.Conv2d(3, 4, 4), nn.BatchNorm2d(4))
    image = torch.rand(1, 3, 4, 4)
    found = [(r.training, len(r.example), len(r.output)) for r in reference_outputs(net, image)]
    assert found == [(False, 1, 1), (True, 2, 2)]


@pytest.mark.parametrize("exact", [True, False])
def test_sizes_are_compared_where_the_original_ran_on_meta(exact):
    reference = ReferenceOutput(False, torch.rand(1, 3, 4, 4), torch.zeros(1, 4, 9, 9), exact)
    reason = reference.mismatch(nn.Conv2d(3, 4, 3))
    assert (reason is None) == (not exact)
