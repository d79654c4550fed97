"""Compare the outputs of a changed model with those of its original, and find what broke it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ghostify.analysis.dry_run import DryRun, dry_run
from ghostify.types import Example, GhostifyError

Change = TypeVar("Change", bound=Hashable)


@dataclass(frozen=True)
class ReferenceOutput:
    """Output of the original in one mode.

    Attributes:
        exact: whether the original ran on the meta device; then shapes are compared too.
    """

    training: bool
    example: Example
    output: Any
    exact: bool

    def mismatch(self, converted: nn.Module) -> str | None:
        """Run a converted model and return how its output differs, or None.

        The structure of the output must be the original's. Shapes must be too, if both models run
        on the meta device; sizes that depend on values, such as the number of detections, may
        differ.
        """
        try:
            run: DryRun[Any] = dry_run(converted, self.example, training=self.training)
        except GhostifyError as error:
            return f"{error.__cause__ or error}"
        exact = run.on_meta and self.exact
        expected, found = (describe_output(o, exact=exact) for o in (self.output, run.output))
        return None if expected == found else f"the output is {found} instead of {expected}"


def reference_outputs(model: nn.Module, example: Example) -> list[ReferenceOutput]:
    """Run the original in evaluation mode and, if it runs in that, in training mode.

    A batch of one is doubled if training mode needs two, as batch norm over a 1x1 map does.
    """

    def reference(example: Example, *, training: bool) -> ReferenceOutput:
        # The copy that runs is not kept: it may hold the weights once more.
        run: DryRun[Any] = dry_run(model, example, training=training)
        return ReferenceOutput(training, example, run.output, run.on_meta)

    outputs = [reference(example, training=False)]
    doubled = tree_map_only(Tensor, lambda t: t.repeat_interleave(2, 0) if t.dim() else t, example)
    for training_example in (example, doubled):
        with suppress(GhostifyError):
            return [*outputs, reference(training_example, training=True)]
    return outputs


def bisect_failures(
    names: Sequence[Change], failure: Callable[[Iterable[Change]], str | None]
) -> dict[Change, str]:
    """Find the changes that break a model, each with its failure, by bisection.

    Args:
        names: all changes.
        failure: returns how the model fails with these changes applied, or None.
    """
    reason = failure(names)
    if reason is None:
        return {}
    if len(names) == 1:
        return {names[0]: reason}
    middle = len(names) // 2
    failing = bisect_failures(names[:middle], failure) | bisect_failures(names[middle:], failure)
    return failing or dict.fromkeys(names, reason)  # both halves work, but not together


def describe_output(value: Any, *, exact: bool) -> str:
    """Return the structure of an output as text: types and shapes, or dims if not ``exact``."""
    kind = type(value).__name__
    if isinstance(value, Tensor):
        dtype = str(value.dtype).removeprefix("torch.")
        return f"{dtype}{list(value.shape)}" if exact else f"{dtype}[{value.dim()}-D]"
    if is_dataclass(value) and not isinstance(value, type | Mapping):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        entries = [f"{key}: {describe_output(v, exact=exact)}" for key, v in value.items()]
    elif isinstance(value, list | tuple):
        entries = [describe_output(v, exact=exact) for v in value]
    else:
        return kind
    return f"{kind}({', '.join(entries)})"
