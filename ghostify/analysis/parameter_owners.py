"""Which modules hold a parameter."""

from __future__ import annotations

from collections import defaultdict

from torch import nn


def parameter_owners(model: nn.Module) -> dict[int, list[nn.Module]]:
    """Return, for the id of each parameter, the modules that hold it directly."""
    owners: dict[int, list[nn.Module]] = defaultdict(list)
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            owners[id(parameter)].append(module)
    return owners


def shares_parameters(module: nn.Module, owners: dict[int, list[nn.Module]]) -> bool:
    """Whether another module holds one of the parameters of ``module`` too."""
    return any(len(owners[id(p)]) > 1 for p in module.parameters(recurse=False))
