"""Losses of the student."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves

from ghostify.analysis.output_hooks import Calls, record_calls
from ghostify.data.batches import call
from ghostify.evaluation.divergence import decisions, divergence, logits_of
from ghostify.evaluation.labels import fit_labels
from ghostify.evaluation.metrics import numbers
from ghostify.training.feature_maps import ComparedLayer
from ghostify.types import Example, GhostifyError, Output, Outputs, RecoverySettings


def relative_errors(
    found: Sequence[Tensor], wanted: Sequence[Tensor], scales: Sequence[float]
) -> Tensor:
    """Return the mean over tensors of the mean squared error divided by its scale.

    Pairs of different shapes, such as the boxes of two detectors, are skipped.
    """
    errors = [
        F.mse_loss(a.float(), b.float()) / scale
        for a, b, scale in zip(found, wanted, scales, strict=False)
        if a.shape == b.shape and a.numel()
    ]
    return torch.stack(errors).mean() if errors else torch.zeros(())


def distillation_loss(
    found: Sequence[Tensor],
    taught: Sequence[Tensor],
    outputs: Outputs,
    scales: Sequence[float],
    temperature: float,
) -> Tensor:
    """Return the mean over tensors of how far they are from the teacher's.

    That of classes and labels is the KL divergence of softened probabilities, the mean over images
    and pixels. That of values is the mean squared error divided by its scale. Pairs of different
    shapes, such as the boxes of two detectors, are skipped.
    """
    losses = []
    for number, (own, other, scale) in enumerate(zip(found, taught, scales, strict=False)):
        output = outputs[number]
        if own.shape != other.shape or not own.numel():
            continue
        if output.kind == "values":
            losses.append(relative_errors([own], [other], [scale]))
        else:
            logits, teachers = (logits_of(each.float(), output) for each in (own, other))
            losses.append(divergence(logits, teachers, output.kind, temperature).mean())
    return torch.stack(losses).mean() if losses else torch.zeros(())


def label_loss(
    tensor: Tensor, labels: Tensor, output: Output, scale: float, smoothing: float
) -> Tensor:
    """Return the cross-entropy of classes or labels, or the squared error of values."""
    fitted = fit_labels(labels, tensor, output)
    if fitted is None:
        raise GhostifyError(
            f"`alpha` must be 0: labels {tuple(labels.shape)} do not fit outputs "
            f"{tuple(tensor.shape)} that are {output.kind}"
        )
    if output.kind == "values":
        return relative_errors([tensor], [fitted], [scale])
    logits = logits_of(tensor.float(), output)
    if output.kind == "classes":
        return F.cross_entropy(logits, fitted, ignore_index=-1, label_smoothing=smoothing)
    target = fitted.view_as(logits).float() * (1 - smoothing) + smoothing / 2
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return entropy.sum(1).mean()


class Objective(nn.Module):
    """A loss of the student, as a module, so that DistributedDataParallel can wrap it.

    Args:
        layers: the layers whose feature maps are compared.
        scales: for each module whose output is compared, the scale of its errors, call by call.
        outputs: what the outputs mean.
    """

    name: str

    def __init__(
        self,
        teacher: nn.Module,
        student: nn.Module,
        layers: Sequence[ComparedLayer],
        scales: Mapping[str, Sequence[float]],
        settings: RecoverySettings,
        outputs: Outputs,
    ) -> None:
        super().__init__()
        self.teacher, self.student = teacher, student
        self.layers, self.scales, self.settings = layers, scales, settings
        self.outputs = outputs

    @abstractmethod
    def forward(self, inputs: Example, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Return losses by name; ``loss`` is the one to minimize."""

    def trained(self) -> dict[str, nn.Parameter]:
        """Return the student's parameters to train, by name."""
        return dict(self.student.named_parameters())

    def feature_loss(self, found: Calls, wanted: Calls) -> Tensor:
        """Return the mean over layers of the relative error of their feature maps."""
        errors = []
        for layer in self.layers:
            outputs = [output for _, output in found[layer.output]]
            targets = [layer.outputs(output) for _, output in wanted[layer.output]]
            errors.append(relative_errors(outputs, targets, self.scales[layer.output]))
        return torch.stack(errors).mean()


class Layerwise(Objective):
    """Each converted layer, on the teacher's inputs, against the teacher's layer."""

    name = "layer-wise"

    def forward(self, inputs: Example, labels: Tensor | None = None) -> dict[str, Tensor]:
        names = [name for layer in self.layers for name in (layer.name, layer.output)]
        with torch.no_grad(), record_calls(self.teacher, names, copied=True) as wanted:
            call(self.teacher, inputs)
        found = {}
        for layer in self.layers:
            module, norm = map(self.student.get_submodule, (layer.name, layer.output))
            outputs = [(given, module(layer.inputs(given))) for given, _ in wanted[layer.name]]
            if norm is not module:
                outputs = [(output, norm(output)) for _, output in outputs]
            found[layer.output] = outputs
        loss = self.feature_loss(found, wanted)
        return {"loss": loss, "features": loss.detach()}

    def trained(self) -> dict[str, nn.Parameter]:
        """Return the parameters of the compared layers and of the BatchNorms that follow them."""
        names = dict.fromkeys(name for layer in self.layers for name in (layer.name, layer.output))
        return {
            f"{name}.{own}": parameter
            for name in names
            for own, parameter in self.student.get_submodule(name).named_parameters()
        }


class EndToEnd(Objective):
    """The student's outputs against the teacher's, and optionally feature maps and labels."""

    name = "end-to-end"

    def forward(self, inputs: Example, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Return the weighted sum and its parts; for classes and labels also the accuracy."""
        settings, scales = self.settings, self.scales[""]
        names = [layer.output for layer in self.layers] if settings.feature_weight else []
        with torch.no_grad(), record_calls(self.teacher, names) as wanted:
            taught = numbers(call(self.teacher, inputs))
        with record_calls(self.student, names) as found:
            tensors = numbers(call(self.student, inputs))
        loss = distillation_loss(tensors, taught, self.outputs, scales, settings.temperature)
        parts = {"distillation": loss}
        if labels is not None and settings.alpha:
            arguments = tensors[0], labels, self.outputs[0], scales[0]
            parts["labels"] = label_loss(*arguments, settings.label_smoothing)
            loss = (1 - settings.alpha) * loss + settings.alpha * parts["labels"]
        if settings.feature_weight:
            parts["features"] = self.feature_loss(found, wanted)
            loss = loss + settings.feature_weight * parts["features"]
        if self.outputs[0].kind != "values" and tensors[0].shape == taught[0].shape:
            parts["accuracy"] = accuracy(tensors[0], taught[0], labels, self.outputs[0])
        return {"loss": loss, **{name: part.detach() for name, part in parts.items()}}


def accuracy(tensor: Tensor, taught: Tensor, labels: Tensor | None, output: Output) -> Tensor:
    """Return the share of decisions that are those of the labels, or of the teacher."""
    found, target = (decisions(logits_of(t, output), output.kind) for t in (tensor, taught))
    fitted = fit_labels(labels, tensor, output)
    if fitted is not None and output.kind == "multilabel":
        target = fitted.view_as(found) > 0.5
    elif fitted is not None:
        target = fitted.argmax(1) if fitted.dim() > found.dim() else fitted
    return (found == target).float().mean()


OBJECTIVES: dict[str, type[Objective]] = {each.name: each for each in (Layerwise, EndToEnd)}


@torch.no_grad()
def likely_cause(teacher: nn.Module, inputs: Example, settings: RecoverySettings) -> str:
    """Return why the loss of a batch is not finite, and what to do."""
    tensors = [leaf for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor)]
    if not all(bool(tensor.isfinite().all()) for tensor in tensors):
        return "the images of this batch are not finite: check the data"
    if not all(bool(output.isfinite().all()) for output in numbers(call(teacher, inputs))):
        return "the teacher's outputs on this batch are not finite: check the normalization"
    if settings.precision == "fp16":
        return "fp16 overflows above 65,504: try `precision` bf16 or fp32"
    lr = settings.lr or 0.0
    return f"`lr` (={lr:g}) is probably too high: try {lr / 4:g}"
