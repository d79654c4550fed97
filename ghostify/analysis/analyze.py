"""The convolutions of a model as data."""

from __future__ import annotations

from torch import nn

from ghostify.analysis.arguments import check_model
from ghostify.analysis.caches import preserve_caches
from ghostify.analysis.conv_info import geometry_of, is_convolution
from ghostify.analysis.conv_observer import ConvObserver, Convolution, type_of
from ghostify.analysis.dry_run import dry_run, materialize
from ghostify.analysis.eligibility import Candidate, ineligible_reason, parameter_owners
from ghostify.analysis.fx_trace import Graph, trace
from ghostify.types import ConvSite, Example, GhostifyError


def analyze(model: nn.Module, example: Example) -> tuple[ConvSite, ...]:
    """Find every convolution of ``model``, and whether a Ghost module can take its place.

    A copy of the model is run once in evaluation mode, on shapes alone unless the model needs
    values, and traced by torch.fx in training mode: together they see both. What tracing cannot
    follow, the run has seen. The model itself is only looked at; hooks of its modules, if any, run
    with the copy.

    Args:
        model: any ``nn.Module``.
        example: what the model is called with: a tensor, a tuple of positional inputs, or a dict
            of keyword inputs. Maps and MACs are those of this batch.

    Returns:
        One site for each convolution, in the order of execution; those that never run come last.

    Raises:
        GhostifyError: if the model does not run on the example, or cannot be copied.
    """
    check_model(model)
    model = materialize(model, example)
    seen, readers, graph = _run_and_traced(model, example)
    everything = dict(model.named_modules())
    modules = {name: module for name, module in everything.items() if is_convolution(module)}
    unseen = [name for name in modules if name not in seen]
    in_training = graph.called | (_called_in_training(model, example) if unseen else set())
    owners = parameter_owners(model)
    first = next(iter(seen), None)
    sites = []
    for name in [*seen, *unseen]:
        around = tuple(everything[path] for path in _paths_around(name) if path in everything)
        convolution = seen.get(name)
        if convolution and convolution.functional:
            ineligible: str | None = "called as a function, not as a module"
        else:
            module = modules[name]
            convolution = convolution or Convolution(type_of(module), geometry_of(module))
            shared = any(len(owners[id(p)]) > 1 for p in module.parameters(recurse=False))
            ineligible = ineligible_reason(
                Candidate(
                    name=name,
                    module=module,
                    around=around,
                    called=(name in seen, name in in_training),
                    read=name in readers,
                    shared=shared,
                )
            )
        sites.append(
            ConvSite(
                name=name,
                type=convolution.type,
                geometry=convolution.geometry,
                within=tuple(type(m).__name__ for m in around),
                output=convolution.output or None,
                calls=convolution.calls,
                positions=convolution.positions,
                functional=convolution.functional,
                stem=name == first,
                seen=_seen(name, seen, graph),
                ineligible=ineligible,
            )
        )
    return tuple(sites)


def _run_and_traced(
    model: nn.Module, example: Example
) -> tuple[dict[str, Convolution], set[str], Graph]:
    """The convolutions that ran, those whose weights are read elsewhere, and what fx has seen.

    The copy that ran ends here, for it may hold the weights once more.
    """
    run = dry_run(model, example, watch=ConvObserver)
    run.model_copy.train()
    with preserve_caches(run.model_copy):
        graph = trace(run.model_copy, example)
    return run.watch.convolutions, run.watch.readers | graph.readers, graph


def _called_in_training(model: nn.Module, example: Example) -> set[str]:
    """The convolutions that training mode calls; none if the model does not run in it."""
    try:
        run = dry_run(model, example, training=True, watch=ConvObserver)
    except GhostifyError:
        return set()
    return set(run.watch.convolutions)


def _seen(name: str, seen: dict[str, Convolution], graph: Graph) -> str | None:
    if name in graph.called:
        return "graph"
    return "run" if name in seen else None


def _paths_around(name: str) -> list[str]:
    steps = name.split(".")[:-1]
    return [".".join(steps[:end]) for end in range(len(steps) + 1)]
