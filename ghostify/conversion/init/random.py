"""Random initialization, for training from scratch."""

from __future__ import annotations

from ghostify.conversion.init.task import Task


def init_random(task: Task) -> dict[str, float]:
    """Reset both convolutions of every Ghost module as ``torch.nn.Conv2d`` does.

    Returns:
        An empty dict: there are no residual errors.
    """
    for site in task.sites:
        ghost = task.ghost(site)
        for operation in (ghost.primary_conv[0], ghost.cheap_operation[0]):
            operation.reset_parameters()  # type: ignore[operator]
    return {}
