"""Hooks of all kinds are found, on a module and inside it."""

import pytest
from torch import nn

from ghostify.nn.hooks import has_hooks

REGISTER = ["forward_hook", "forward_pre_hook", "full_backward_hook", "full_backward_pre_hook"]


@pytest.mark.parametrize("kind", REGISTER)
def test_hooks_are_found_until_they_are_removed(kind):
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    assert not has_hooks(net)
    handle = getattr(net[1], f"register_{kind}")(lambda *_: None)
    assert has_hooks(net)
    assert has_hooks(net[1])
    assert not has_hooks(net[0])
    handle.remove()
    assert not has_hooks(net)
