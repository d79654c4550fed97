"""The convolutions of a model as data."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.conv import _ConvNd

from ghostify.analysis.graph import Convolution, observe
from ghostify.analysis.obstacles import Candidate, find_obstacle, parameter_owners
from ghostify.spec import ConvSite, Example, Geometry


def analyze(model: nn.Module, example: Example) -> tuple[ConvSite, ...]:
    """Find every convolution of ``model``, and whether a Ghost module can take its place.

    The model is traced by torch.fx in evaluation mode and only looked at: no weight is read, no
    arithmetic done.

    Args:
        model: any ``nn.Module`` that torch.fx can trace.
        example: what the model is called with: a tensor, a tuple of positional inputs, or a dict
            of keyword inputs. Only shapes count; maps and MACs are those of this batch.

    Returns:
        One site for each convolution, in the order of execution; those that never run come last.

    Raises:
        GhostifyError: if torch.fx cannot trace the model or it does not run on the example.
    """
    seen = observe(model, example)
    modules = {n: m for n, m in model.named_modules() if isinstance(m, _ConvNd)}
    owners = parameter_owners(model)
    first = next(iter(seen.convolutions), None)
    sites = []
    for name in [*seen.convolutions, *(n for n in modules if n not in seen.convolutions)]:
        module = modules.get(name)
        if module is None:
            obstacle: str | None = "called as a function, not as a module"
            convolution = seen.convolutions[name]
        else:
            obstacle = find_obstacle(Candidate(name, module, model, seen, owners))
            convolution = seen.convolutions.get(name) or _never_called(module)
        sites.append(
            _site(
                model,
                name,
                convolution,
                obstacle,
                functional=module is None,
                stem=name == first,
            )
        )
    return tuple(sites)


def _never_called(module: _ConvNd) -> Convolution:
    return Convolution(type(module).__name__, Geometry.of(module))


def _site(
    model: nn.Module,
    name: str,
    convolution: Convolution,
    obstacle: str | None,
    *,
    functional: bool,
    stem: bool,
) -> ConvSite:
    return ConvSite(
        name=name,
        type=convolution.type,
        geometry=convolution.geometry,
        within=_enclosing_types(model, name),
        output=convolution.output or None,
        calls=convolution.calls,
        positions=convolution.positions,
        functional=functional,
        stem=stem,
        obstacle=obstacle,
    )


def _enclosing_types(model: nn.Module, name: str) -> tuple[str, ...]:
    types = [type(model).__name__]
    path = model
    for step in name.split(".")[:-1]:
        path = path.get_submodule(step)
        types.append(type(path).__name__)
    return tuple(types)
