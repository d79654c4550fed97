"""The inference form of a network."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from ghostify.analysis.arguments import check_model
from ghostify.analysis.dataflow import Dataflow, is_norm, tensors_in, trace_dataflow
from ghostify.analysis.dry_run import clone_tensors, materialize
from ghostify.analysis.model_copy import copy_model, frozen_copy
from ghostify.analysis.preserve import preserve_rng
from ghostify.analysis.verification import bisect_failures, describe_output
from ghostify.deployment.channel_order import movable, move
from ghostify.deployment.fold_bn import fold, foldable
from ghostify.deployment.reparameterize import fusions
from ghostify.nn import DeployedGhostModule, GhostModule
from ghostify.types import DeploymentReport, Example, GhostifyError, split_example
from ghostify.types.attachment import Attachment
from ghostify.types.errors import first_line

Model = TypeVar("Model", bound=nn.Module)

TOLERANCE = 1e-4
"""Largest error of an output, relative to the largest number in it."""


@torch.no_grad()
def deploy(
    model: Model, example: Example, *, memory_format: torch.memory_format | None = None
) -> Model:
    """Copy ``model`` into a form made for inference, and only for that: there is no way back.

    Parallel branches are made one convolution, as `reparameterize` does. Batch norms are folded
    into the convolution, linear layer or Ghost module that they alone read; the order of a Ghost
    module's outputs into the layers behind it; and what does nothing in evaluation mode is replaced
    by ``Identity``. Who reads what is found by running the model once on the example; no name and
    no type of network matters. What would not be exact stays as it is, and `DeploymentReport.find`
    tells how much that is. The copy is in evaluation mode, without gradients; it cannot be trained,
    saved as an artifact or converted. ``model`` itself is never changed.

    The result has been compared with the original on the example: its outputs agree to 1e-4 of
    their largest number. Where numbers decide what is computed, as in a detector, their structure
    is compared.

    Args:
        model: any network, converted or not.
        example: an input, as in `convert`. Layers may be read in other ways on other paths
            through the model: give an example of the input that it is deployed for.
        memory_format: what the weights are laid out in, and so the maps. Default:
            ``torch.channels_last``, in which a ResNet-50 of Ghost modules runs a fifth faster on a
            CPU; the contiguous format for models that reshape their maps in a way that needs it.

    Raises:
        GhostifyError: if the model does not run on the example, or if outputs would change.
    """
    check_model(model)
    original = frozen_copy(materialize(model, example))
    model = _without_branches(original)
    flow = trace_dataflow(model, example)
    expected = _outputs(frozen_copy(original), example)
    changes = _Changes(model, flow, memory_format or torch.channels_last)
    if memory_format is None and not _runs(changes.made(()), example):  # a view, for one
        changes = _Changes(model, flow, torch.contiguous_format)

    def fault_of(names: Iterable[str]) -> str | None:
        try:
            found = _outputs(changes.made(names), example)
        except RuntimeError as error:
            return first_line(error)
        return _difference(expected, found, flow.on_meta)

    names = changes.names
    while fault := fault_of(names):
        if not names:
            raise GhostifyError(f"{type(model).__name__} has no inference form: {fault}")
        guilty = bisect_failures(names, fault_of)
        names = [name for name in names if name not in guilty]
    deployed: Model = changes.made(names)
    Attachment.remove_all(deployed)
    _form(deployed, names).attach(deployed)
    return deployed


def _without_branches(model: Model) -> Model:
    kept: dict[Any, Any] = {t: t for t in (*model.parameters(), *model.buffers())}
    exchange = fusions(model)
    return copy_model(model, kept | exchange) if exchange else model


class _Changes:
    """What can be folded away in a model, under the names of batch norms and of orders."""

    def __init__(
        self, model: nn.Module, flow: Dataflow, memory_format: torch.memory_format
    ) -> None:
        self.model = model
        self.memory_format = memory_format
        self.norms = foldable(model, flow)
        self.regions = {f"{name}.order": region for name, region in movable(model, flow).items()}
        self.idle = [name for name in flow.no_ops if _is_for_training(model.get_submodule(name))]
        self.names = [*self.norms.values(), *self.regions]

    def made(self, names: Iterable[str]) -> Any:
        """A copy of the model, in evaluation mode, with these changes."""
        chosen = set(names)
        twin = copy_model(self.model)
        twin.eval()  # a statement: an override may return nothing
        twin.requires_grad_(False)
        for name in chosen & self.regions.keys():
            move(twin, name.removesuffix(".order"), self.regions[name])
        swaps = fold(twin, {layer: norm for layer, norm in self.norms.items() if norm in chosen})
        swaps |= {twin.get_submodule(name): nn.Identity() for name in self.idle}
        kept: dict[Any, Any] = {t: t for t in (*twin.parameters(), *twin.buffers())}
        deployed = copy_model(twin, kept | swaps)
        deployed.eval()
        return deployed.requires_grad_(False).to(memory_format=self.memory_format)


def _is_for_training(module: nn.Module) -> bool:
    """Dropout of any kind, also of whole paths; others may have been idle by chance."""
    return isinstance(module, _DropoutNd) or type(module).__name__ in (
        "DropPath",
        "StochasticDepth",
    )


def _form(deployed: nn.Module, names: Iterable[str]) -> DeploymentReport:
    modules = dict(deployed.named_modules())
    orders = {name for name in names if name.endswith(".order")}
    return DeploymentReport(
        folded_norms=tuple(name for name in names if name not in orders),
        remaining_norms=tuple(name for name, module in modules.items() if is_norm(module)),
        folded_orders=tuple(name.removesuffix(".order") for name in names if name in orders),
        remaining_orders=tuple(
            name
            for name, module in modules.items()
            if isinstance(module, (GhostModule, DeployedGhostModule)) and module.order is not None
        ),
    )


def _outputs(model: nn.Module, example: Example) -> Any:
    args, kwargs = split_example(clone_tensors(example))
    with preserve_rng():
        return model(*args, **kwargs)


def _runs(model: nn.Module, example: Example) -> bool:
    """Whether it can be run at all; where not, the format of its weights is to blame."""
    try:
        _outputs(model, example)
    except RuntimeError:
        return False
    return True


def _difference(expected: Any, found: Any, exact: bool) -> str | None:
    """How two outputs differ, or None."""
    before, after = (describe_output(output, exact=exact) for output in (expected, found))
    if before != after:
        return f"the output is {after} instead of {before}"
    if not exact:
        return None
    pairs = zip(tensors_in(expected), tensors_in(found), strict=True)
    error = max((_relative_error(*pair) for pair in pairs), default=0.0)
    return f"outputs change by {error:.1e} of their largest number" if error > TOLERANCE else None


def _relative_error(expected: Tensor, found: Tensor) -> float:
    """The largest error, over the largest number; numbers of few bits are forgiven their steps."""
    finite = expected.isfinite()
    if not expected.is_floating_point() or not finite.all():
        return 0.0 if torch.equal(finite, found.isfinite()) else math.inf
    if not expected.numel():
        return 0.0
    steps = torch.finfo(expected.dtype).eps / torch.finfo(torch.float32).eps
    error = (expected.double() - found.double()).abs().max() / steps
    return float(error / expected.abs().max().double().clamp_min(1e-30))
