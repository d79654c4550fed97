"""Does a converted model still run, and does it give back what the original gives?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ghostify.analysis.dry_run import ForwardObserver, Outcome, dry_run
from ghostify.types import Example, GhostifyError


@dataclass(frozen=True)
class Expectation:
    """What the original gave in one mode, and for which input.

    Attributes:
        exact: whether it ran on shapes alone, which are then what is expected.
    """

    training: bool
    example: Example
    output: Any
    exact: bool

    @classmethod
    def of(cls, model: nn.Module, example: Example, *, training: bool) -> Expectation:
        """Run the original; what ran is not kept, for it may hold the weights once more."""
        outcome: Outcome[ForwardObserver] = dry_run(model, example, training=training)
        return cls(training, example, outcome.output, outcome.on_shapes)

    def fault_of(self, converted: nn.Module) -> str | None:
        """What is wrong with a converted model, or None.

        The structure of the output must be the original's, and its shapes where both models ran
        on shapes alone; sizes that depend on values, such as the number of detections, may differ.
        """
        try:
            outcome: Outcome[ForwardObserver] = dry_run(
                converted, self.example, training=self.training
            )
        except GhostifyError as error:
            return f"{error.__cause__ or error}"
        exact = outcome.on_shapes and self.exact
        expected, found = (
            describe_output(output, exact=exact) for output in (self.output, outcome.output)
        )
        return None if expected == found else f"the output is {found} instead of {expected}"


def expectations(model: nn.Module, example: Example) -> list[Expectation]:
    """One for each mode, evaluation and training, that the original itself runs in.

    Where training mode needs more than one image (batch norm over a 1x1 map), it gets two.
    """
    found = [Expectation.of(model, example, training=False)]
    for training_example in (example, _doubled(example)):
        with suppress(GhostifyError):
            return [*found, Expectation.of(model, training_example, training=True)]
    return found


def find_culprits(
    names: Sequence[str], fault_of: Callable[[Iterable[str]], str | None]
) -> dict[str, str]:
    """The sites whose replacement breaks the model, each with its fault, found by bisection.

    Args:
        names: all replaced sites.
        fault_of: what is wrong with the model when these sites are replaced, or None.
    """
    fault = fault_of(names)
    if fault is None:
        return {}
    if len(names) == 1:
        return {names[0]: fault}
    middle = len(names) // 2
    guilty = find_culprits(names[:middle], fault_of) | find_culprits(names[middle:], fault_of)
    return guilty or dict.fromkeys(names, fault)  # harmless halves that do harm together


def describe_output(value: Any, *, exact: bool) -> str:
    """The structure of an output as text, with types and shapes.

    Where not ``exact``, numbers of dimensions stand for the shapes.
    """
    if isinstance(value, Tensor):
        kind = str(value.dtype).removeprefix("torch.")
        return f"{kind}{list(value.shape)}" if exact else f"{kind}[{value.dim()}-D]"
    if isinstance(value, Mapping):
        entries = [f"{key}: {describe_output(v, exact=exact)}" for key, v in value.items()]
    elif is_dataclass(value) and not isinstance(value, type):
        entries = [
            f"{field.name}: {describe_output(getattr(value, field.name), exact=exact)}"
            for field in fields(value)
        ]
    elif isinstance(value, (list, tuple)):
        entries = [describe_output(v, exact=exact) for v in value]
    else:
        return type(value).__name__
    return f"{type(value).__name__}({', '.join(entries)})"


def _doubled(example: Example) -> Example:
    return tree_map_only(
        Tensor, lambda tensor: tensor.repeat_interleave(2, 0) if tensor.dim() else tensor, example
    )
