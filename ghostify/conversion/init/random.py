"""Random values, for training from scratch."""

from __future__ import annotations

from ghostify.conversion.init.task import Task


def draw(task: Task) -> dict[str, float]:
    """Draw both halves of every Ghost module anew, as ``torch.nn.Conv2d`` draws (He et al., 2015).

    Returns:
        nothing: there are no residual errors to speak of.
    """
    for site in task.sites:
        ghost = task.ghost(site)
        for operation in (ghost.primary_conv[0], ghost.cheap_operation[0]):
            operation.reset_parameters()  # type: ignore[operator]
    return {}
