"""What a student learns from its teacher: each site its own original, or all of it at once."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghostify.analysis.dataflow import trace_dataflow
from ghostify.evaluation.metrics import is_logits, numbers
from ghostify.nn import GhostModule
from ghostify.types import Example, GhostifyError, RecoverySettings, split_example

_FLAT, _TINY = 1e-4, 1e-12
"""The least that a variance is taken for: of the mean square, and in all."""


def are_logits(outputs: Sequence[Tensor]) -> bool:
    """Whether an output is one tensor ``(B, classes)``."""
    return len(outputs) == 1 and is_logits(outputs[0])


def divergence(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence from the teacher's softened probabilities, in nats an image.

    Times the square of the temperature, so that its gradients are of one size for all
    temperatures (Hinton et al., arXiv 1503.02531, section 2).

    Args:
        logits: ``(B, classes)``.
        taught: ``(B, classes)``, the teacher's.
    """
    log_p = (taught.float() / temperature).log_softmax(1)
    log_q = (logits.float() / temperature).log_softmax(1)
    possible = log_p != -torch.inf  # a class that is ruled out counts nothing
    terms = torch.where(possible, log_p.exp() * (log_p - log_q), 0.0)
    return terms.sum(1).mean() * temperature**2


def scale_of(tensor: Tensor) -> float:
    """What errors in such a tensor are divided by: its variance, each channel around its mean.

    Channels are dimension 1. Infinite where there is nothing, so that it will not count.
    """
    values = tensor.float()
    if not values.numel():
        return float("inf")
    others = [dimension for dimension in range(values.dim()) if dimension != 1] or None
    variance = (values - values.mean(others, keepdim=True)).square().mean()
    return max(float(variance), _FLAT * float(values.square().mean()), _TINY)


def relative_errors(
    found: Sequence[Tensor], wanted: Sequence[Tensor], scales: Sequence[float]
) -> Tensor:
    """Mean over tensors of the squared error over its scale.

    Pairs of other shapes, such as boxes that only one network has found, do not count.
    """
    errors = [
        F.mse_loss(a.float(), b.float()) / scale
        for a, b, scale in zip(found, wanted, scales, strict=False)
        if a.shape == b.shape and a.numel()
    ]
    return torch.stack(errors).mean() if errors else torch.zeros(())


def matched_places(teacher: nn.Module, student: nn.Module, example: Example) -> dict[str, str]:
    """For each Ghost module of ``student`` where its maps are compared with the original's.

    That is behind the batch norm that alone reads them, if there is one: it takes up what the
    Ghost module's own biases would be, and says how large a map is for what follows.
    """
    norms = trace_dataflow(teacher, example).following_norms()
    sites = [name for name, module in student.named_modules() if isinstance(module, GhostModule)]
    known = dict(teacher.named_modules())
    return {site: norms.get(site, site) for site in sites if site in known}


Calls = Mapping[str, list[tuple[Tensor, Tensor]]]
"""By module, input and output of each of its calls."""


@contextmanager
def watched(model: nn.Module, names: Iterable[str]) -> Iterator[Calls]:
    """What modules are given and give while the block lasts."""
    calls: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    handles = []

    def watch(name: str) -> Any:
        def keep(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            calls[name].append((inputs[0], output))

        return model.get_submodule(name).register_forward_hook(keep)

    try:
        handles = [watch(name) for name in dict.fromkeys(names)]
        yield calls
    finally:
        for handle in handles:
            handle.remove()


class Stage(nn.Module):
    """A loss of the student, as a module, so that what distributes modules takes it whole.

    Args:
        teacher: in evaluation mode, without gradients.
        student: to be trained.
        places: by site, the module behind which its maps are compared.
        scales: by module, what an error there is divided by.
    """

    name: str

    def __init__(
        self,
        teacher: nn.Module,
        student: nn.Module,
        places: Mapping[str, str],
        scales: Mapping[str, Sequence[float]],
        settings: RecoverySettings,
    ) -> None:
        super().__init__()
        self.teacher = teacher
        self.student = student
        self.places = dict(places)
        self.scales = scales
        self.settings = settings

    @abstractmethod
    def forward(self, inputs: Example, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Losses by name; ``loss`` is the one to be made small."""

    @abstractmethod
    def trained(self) -> dict[str, nn.Parameter]:
        """By name, the parameters of the student that this stage changes."""


class Local(Stage):
    """Each site learns its own original from the teacher's inputs; no site waits for another."""

    name = "local"

    def forward(self, inputs: Example, labels: Tensor | None = None) -> dict[str, Tensor]:
        """The mean over sites of the relative error of their maps."""
        args, kwargs = split_example(inputs)
        names = [*self.places, *self.places.values()]
        with torch.no_grad(), watched(self.teacher, names) as calls:
            self.teacher(*args, **kwargs)
        errors = [self._error(site, place, calls) for site, place in self.places.items()]
        loss = torch.stack(errors).mean()
        return {"loss": loss, "maps": loss.detach()}

    def _error(self, site: str, place: str, calls: Calls) -> Tensor:
        ghost, behind = (self.student.get_submodule(name) for name in (site, place))
        made = [ghost(given) for given, _ in calls[site]]
        if place != site:
            made = [behind(maps) for maps in made]
        return relative_errors(made, [wanted for _, wanted in calls[place]], self.scales[place])

    def trained(self) -> dict[str, nn.Parameter]:
        """Those of the Ghost modules and of the batch norms behind them."""
        return {
            f"{name}.{own}": parameter
            for name in dict.fromkeys([*self.places, *self.places.values()])
            for own, parameter in self.student.get_submodule(name).named_parameters()
        }


class EndToEnd(Stage):
    """The student's outputs, and its maps, are to be the teacher's; labels may have a say."""

    name = "end to end"

    def forward(self, inputs: Example, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Losses of outputs, of maps and of labels, as far as they count."""
        settings = self.settings
        args, kwargs = split_example(inputs)
        places = self.places.values() if settings.feature_weight else ()
        with torch.no_grad(), watched(self.teacher, places) as wanted:
            taught = numbers(self.teacher(*args, **kwargs))
        with watched(self.student, places) as made:
            found = numbers(self.student(*args, **kwargs))
        logits = are_logits(taught) and are_logits(found)
        if logits:
            distilled = divergence(found[0], taught[0], settings.temperature)
        else:
            distilled = relative_errors(found, taught, self.scales[""])
        parts = {"outputs": distilled}
        loss = distilled
        if labels is not None and settings.alpha:
            if not logits:
                raise GhostifyError("labels are for outputs (B, classes): leave alpha at 0")
            parts["labels"] = F.cross_entropy(
                found[0].float(), labels, label_smoothing=settings.label_smoothing
            )
            loss = (1 - settings.alpha) * distilled + settings.alpha * parts["labels"]
        if settings.feature_weight:
            parts["maps"] = torch.stack(
                [
                    relative_errors(
                        [maps for _, maps in made[place]],
                        [maps for _, maps in wanted[place]],
                        self.scales[place],
                    )
                    for place in self.places.values()
                ]
            ).mean()
            loss = loss + settings.feature_weight * parts["maps"]
        if logits:
            target = taught[0] if labels is None else labels
            target = target.argmax(1) if target.dim() == 2 else target
            parts["top1"] = (found[0].argmax(1) == target).float().mean()
        return {"loss": loss, **{name: part.detach() for name, part in parts.items()}}

    def trained(self) -> dict[str, nn.Parameter]:
        """All that want to be."""
        return dict(self.student.named_parameters())


@torch.no_grad()
def measure_scales(
    teacher: nn.Module, places: Mapping[str, str], inputs: Example
) -> tuple[dict[str, list[float]], bool]:
    """How large the teacher's outputs (under the name "") and maps are, call by call.

    And whether its outputs are logits.
    """
    args, kwargs = split_example(inputs)
    with watched(teacher, places.values()) as calls:
        outputs = numbers(teacher(*args, **kwargs))
    tensors = {"": outputs} | {place: [maps for _, maps in calls[place]] for place in calls}
    scales = {name: [scale_of(tensor) for tensor in found] for name, found in tensors.items()}
    return scales, are_logits(outputs)


STAGES: dict[str, type[Stage]] = {stage.name: stage for stage in (Local, EndToEnd)}
