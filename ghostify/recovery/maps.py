"""Maps at the same places of two networks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from ghostify.flow import follow
from ghostify.layers import GhostModule
from ghostify.spec import Example


def matched_places(teacher: nn.Module, student: nn.Module, example: Example) -> dict[str, str]:
    """For each Ghost module of ``student`` where its maps are compared with the original's.

    That is behind the batch norm that alone reads them, if there is one: it takes up what the
    Ghost module's own biases would be, and says how large a map is for what follows.
    """
    norms = follow(teacher, example).followers()
    sites = [name for name, module in student.named_modules() if isinstance(module, GhostModule)]
    known = dict(teacher.named_modules())
    return {site: norms.get(site, site) for site in sites if site in known}


Calls = Mapping[str, list[tuple[Tensor, Tensor]]]
"""By module, input and output of each of its calls."""


@contextmanager
def watched(model: nn.Module, names: Iterable[str]) -> Iterator[Calls]:
    """What modules are given and give while the block lasts."""
    calls: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    handles = []

    def watch(name: str) -> Any:
        def keep(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            calls[name].append((inputs[0], output))

        return model.get_submodule(name).register_forward_hook(keep)

    try:
        handles = [watch(name) for name in dict.fromkeys(names)]
        yield calls
    finally:
        for handle in handles:
            handle.remove()
