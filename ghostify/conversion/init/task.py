"""Input of an initializer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ghostify.io.progress import Report
from ghostify.nn import GhostModule
from ghostify.types import Example, Outputs


@dataclass
class Task:
    """A converted network whose Ghost modules need weights.

    Attributes:
        original: in evaluation mode; shares its weights with the user's model, without gradients.
        dense: the original without the channels that the plan drops.
        kept: by layer, the output channels that are left, if some were dropped.
        converted: the network to initialize, in place.
        sites: names of the Ghost modules, in the order of execution.
        following_norms: by layer, the BatchNorm that alone reads it.
        last_terms: layers that compute the last term of a residual sum.
        batches: calibration data; may be empty.
        outputs: what the outputs mean.
        finetune_steps: gradient steps per site after the closed-form fit.
        notes: collects remarks for the user.
        report: reports progress.
    """

    original: nn.Module
    dense: nn.Module
    kept: Mapping[str, Tensor]
    converted: nn.Module
    sites: Sequence[str]
    following_norms: Mapping[str, str]
    last_terms: Collection[str]
    batches: Sequence[Example]
    outputs: Outputs
    finetune_steps: int
    notes: list[str]
    report: Report

    def ghost(self, site: str) -> GhostModule:
        module = self.converted.get_submodule(site)
        assert isinstance(module, GhostModule)
        return module

    def shift_mean(self, layer: str, constants: Tensor) -> None:
        """Make the BatchNorm behind ``layer`` add constants ``(n,)`` to the layer's output."""
        norm = self.converted.get_submodule(self.following_norms[layer])
        norm.get_buffer("running_mean").sub_(constants)
