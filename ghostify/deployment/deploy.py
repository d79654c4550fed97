"""Fold a network for inference."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from ghostify.analysis.dataflow import Dataflow, is_norm, tensors_in, trace_dataflow
from ghostify.analysis.dry_run import clone_tensors, dry_run, materialize
from ghostify.analysis.model_copy import copy_model, frozen_copy
from ghostify.analysis.preserve import exact_float32, preserve_rng
from ghostify.analysis.verification import bisect_failures, describe_output
from ghostify.deployment.fold_bn import fold_norms, foldable_norms
from ghostify.deployment.fold_order import fold_order, foldable_orders
from ghostify.deployment.reparameterize import fused_modules
from ghostify.deployment.verify_export import output_errors
from ghostify.nn import DeployedGhostModule, GhostModule
from ghostify.types import DeploymentReport, Example, GhostifyError, SeenImages, split_example
from ghostify.types.attachment import Attachment
from ghostify.types.errors import first_line

Model = TypeVar("Model", bound=nn.Module)

TOLERANCE = 1e-4
"""Largest error of an output, relative to its largest value."""


@torch.no_grad()
@exact_float32()
def deploy(
    model: Model, example: Example, *, memory_format: torch.memory_format | None = None
) -> Model:
    """Copy ``model`` and fold it for inference.

    Parallel branches are fused as in `reparameterize`. BatchNorms are folded into the convolution,
    linear layer or Ghost module before them, and the output order of a Ghost module into the layers
    that read it. Dropout becomes ``Identity``. The data flow is traced on the example, so this
    works for any network. What cannot be folded exactly stays; `DeploymentReport.find` lists it.

    Outputs on the example are verified: they agree with the original's to 1e-4 of their largest
    value. If values decide what is computed, as in a detector, the output structure is compared.

    Args:
        model: any network, converted or not; it is not changed.
        example: an input, as in `convert`, of the kind that the network is deployed for.
        memory_format: memory format of the weights, and so of the feature maps. Default:
            ``torch.channels_last``, in which a ResNet-50 of Ghost modules runs a fifth faster on a
            CPU; contiguous for models whose reshapes need it.

    Returns:
        A copy in evaluation mode without gradients. It cannot be trained, converted or saved as an
        artifact.

    Raises:
        GhostifyError: if the model does not run on the example, or if its outputs would change.
    """
    model = materialize(model, example)
    dry_run(model, example)  # refuses a model whose copies do not stand alone
    original = frozen_copy(model)
    fused = fused_modules(original)
    model = copy_model(original, _tensors(original) | fused) if fused else original
    flow = trace_dataflow(model, example)
    expected = _outputs(frozen_copy(original), example)
    folds = _Folds(model, flow, memory_format or torch.channels_last)

    def failure(names: Iterable[str]) -> str | None:
        try:
            found = _outputs(folds.apply(names), example)
        except Exception as error:  # code of the network may read what was folded
            return first_line(error)
        return _difference(expected, found, flow.on_meta)

    if memory_format is None and failure(()):  # it uses view, for one
        folds.memory_format = torch.contiguous_format
    names = folds.names
    while reason := failure(names):
        if not names:
            raise GhostifyError(f"{type(model).__name__} cannot be deployed: {reason}")
        wrong = bisect_failures(names, failure)
        names = [name for name in names if name not in wrong]
    deployed: Model = folds.apply(names)
    Attachment.remove_all(deployed)
    _report(deployed, names).attach(deployed)
    if seen := SeenImages.find(model):
        seen.attach(deployed)
    return deployed


def _tensors(model: nn.Module) -> dict[Any, Any]:
    """Map each tensor to itself, so that a copy shares it."""
    return {tensor: tensor for tensor in (*model.parameters(), *model.buffers())}


class _Folds:
    """The BatchNorms and orders of a model that can be folded, by name."""

    def __init__(self, model: nn.Module, flow: Dataflow, memory_format: Any) -> None:
        self.model = model
        self.memory_format = memory_format
        self.norms = foldable_norms(model, flow)
        self.regions = {f"{n}.order": region for n, region in foldable_orders(model, flow).items()}
        self.dropouts = [n for n in flow.no_ops if _is_dropout(model.get_submodule(n))]
        self.names = [*self.norms.values(), *self.regions]

    def apply(self, names: Iterable[str]) -> Any:
        """Return a copy of the model, in evaluation mode, with these folds."""
        chosen = set(names)
        copy = copy_model(self.model)
        copy.eval()  # a statement: an override may return nothing
        copy.requires_grad_(False)
        for name in chosen & self.regions.keys():
            fold_order(copy, name.removesuffix(".order"), self.regions[name])
        norms = {layer: norm for layer, norm in self.norms.items() if norm in chosen}
        swaps: dict[Any, Any] = {**fold_norms(copy, norms)}
        swaps |= {copy.get_submodule(name): nn.Identity() for name in self.dropouts}
        deployed = copy_model(copy, _tensors(copy) | swaps)
        deployed.eval()
        return deployed.requires_grad_(False).to(memory_format=self.memory_format)


def _is_dropout(module: nn.Module) -> bool:
    """Whether it is any dropout; other modules may be no-ops on this example only."""
    names = {"DropPath", "StochasticDepth"}
    return isinstance(module, _DropoutNd) or type(module).__name__ in names


def _report(deployed: nn.Module, names: Iterable[str]) -> DeploymentReport:
    modules = dict(deployed.named_modules())
    ghosts = {n: m for n, m in modules.items() if isinstance(m, GhostModule | DeployedGhostModule)}
    return DeploymentReport(
        folded_norms=tuple(n for n in names if not n.endswith(".order")),
        remaining_norms=tuple(n for n, module in modules.items() if is_norm(module)),
        folded_orders=tuple(n.removesuffix(".order") for n in names if n.endswith(".order")),
        remaining_orders=tuple(n for n, ghost in ghosts.items() if ghost.order is not None),
    )


def _outputs(model: nn.Module, example: Example) -> Any:
    args, kwargs = split_example(clone_tensors(example))
    with preserve_rng():
        return model(*args, **kwargs)


def _difference(expected: Any, found: Any, exact: bool) -> str | None:
    """Describe how two outputs differ; None if they agree."""
    before, after = (describe_output(output, exact=exact) for output in (expected, found))
    if before != after:
        return f"the output is {after} instead of {before}"
    if not exact:
        return None
    pairs = zip(tensors_in(expected), tensors_in(found), strict=True)
    error = max((_relative_error(*pair) for pair in pairs), default=0.0)
    return f"outputs change by {error:.1e} of their largest value" if error > TOLERANCE else None


def _relative_error(expected: Tensor, found: Tensor) -> float:
    """Return the relative error of float outputs, in steps of float32 for lower precision."""
    if not expected.is_floating_point():
        return 0.0
    steps = torch.finfo(expected.dtype).eps / torch.finfo(torch.float32).eps
    return output_errors(found, expected).relative / steps
