"""Find the convolutions of a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from torch import nn

from ghostify.analysis.caches import evict_meta_tensors
from ghostify.analysis.conv_observer import ConvObserver, ConvRecord
from ghostify.analysis.convolutions import class_name, is_convolution
from ghostify.analysis.dataflow import Dataflow, trace_dataflow
from ghostify.analysis.dry_run import dry_run, materialize
from ghostify.analysis.eligibility import ineligible_reason
from ghostify.analysis.forward_observer import parameter_owners, shares_parameters
from ghostify.analysis.fx_trace import trace
from ghostify.analysis.ghost_structure import primary_convolutions
from ghostify.analysis.regions import NoRegionError, find_region
from ghostify.types import ConvSite, Example, Geometry, GhostifyError, Sites


def analyze(model: nn.Module, example: Example) -> Sites:
    """Find every convolution of ``model``, and whether it can be replaced and pruned.

    A copy of the model runs in evaluation mode, on the meta device unless it needs values,
    and is traced by torch.fx in training mode. The run also finds convolutions in code that cannot
    be traced. The model does not change; hooks of its modules run with the copy.

    Args:
        model: any ``nn.Module``.
        example: input of the model: a tensor, a tuple of positional inputs, or a dict of keyword
            inputs. Output sizes and MACs are those of this batch.

    Returns:
        One site for each convolution, in order of execution. Convolutions that do not run are
        last. ``print`` shows them as tables.

    Raises:
        GhostifyError: if the model does not run on the example, or cannot be copied.
    """
    model = materialize(model, example)
    records, weights_read, traced = _run_and_trace(model, example)
    flow = trace_dataflow(model, example)
    primaries = primary_convolutions(model, flow)
    named_modules = dict(model.named_modules())
    convolutions = {name: m for name, m in named_modules.items() if is_convolution(m)}
    uncalled = [name for name in convolutions if name not in records]
    in_training = traced | (_called_in_training(model, example) if uncalled else set())
    owners = parameter_owners(model)
    first = next(iter(records), None)
    sites = []
    for name in [*records, *uncalled]:
        parents = tuple(named_modules[path] for path in _parents(name) if path in named_modules)
        record = records.get(name)
        if record and record.functional:
            ineligible: str | None = "called as a function, not as a module"
        else:
            module = convolutions[name]
            record = record or ConvRecord(class_name(module), Geometry.of(module))
            ineligible = ineligible_reason(
                module,
                name,
                parents,
                primary=name in primaries,
                called=name in records,
                called_in_training=name in in_training,
                read_elsewhere=name in weights_read,
                shared=shares_parameters(module, owners),
            )
        sites.append(
            ConvSite(
                name=name,
                **vars(record),
                within=tuple(type(parent).__name__ for parent in parents),
                stem=name == first,
                seen="graph" if name in traced else "run" if name in records else None,
                ineligible=ineligible,
            )
        )
    return Sites(_with_regions(model, flow, sites))


def _with_regions(
    model: nn.Module, flow: Dataflow, sites: Iterable[ConvSite]
) -> Iterator[ConvSite]:
    """Add the region of each site, or the reason why its output channels cannot be dropped."""
    found = [_with_region(model, flow, site) for site in sites]
    gates = {gate: s.name for s in found if s.region is not None for gate in s.region.gates}
    for site in found:
        if site.name in gates:
            site = replace(site, unprunable=f"a gate of {gates[site.name]}, whose channels it has")
        yield site


def _with_region(model: nn.Module, flow: Dataflow, site: ConvSite) -> ConvSite:
    if site.ineligible is not None:
        return replace(site, unprunable=site.ineligible)
    if site.geometry.out_channels == 1:
        return replace(site, unprunable="it has one output channel")
    try:
        return replace(site, region=find_region(model, flow, site.name))
    except NoRegionError as error:
        return replace(site, unprunable=str(error))


def _run_and_trace(
    model: nn.Module, example: Example
) -> tuple[dict[str, ConvRecord], set[str], set[str]]:
    """Convolutions that ran, modules whose weights are read elsewhere, and modules in the trace.

    The copy that ran is released on return: it may hold the weights once more.
    """
    run = dry_run(model, example, observer=ConvObserver)
    run.model_copy.train()
    with evict_meta_tensors(run.model_copy):
        traced, read = trace(run.model_copy, example)
    return run.observer.convolutions, run.observer.weights_read | read, traced


def _called_in_training(model: nn.Module, example: Example) -> set[str]:
    """Convolutions that a pass in training mode calls; empty if the model does not run in it."""
    with suppress(GhostifyError):
        run = dry_run(model, example, training=True, observer=ConvObserver)
        return set(run.observer.convolutions)
    return set()


def _parents(name: str) -> list[str]:
    steps = name.split(".")[:-1]
    return [".".join(steps[:end]) for end in range(len(steps) + 1)]
