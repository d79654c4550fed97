"""What an initializer is given."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from ghostify.io.progress import Report, silent
from ghostify.nn import GhostModule
from ghostify.types import Example


@dataclass
class Task:
    """A converted network to be filled with what the original knows.

    Attributes:
        original: in evaluation mode; shares its weights with the user's model, without gradients.
        converted: its Ghost modules are to be filled, in place.
        sites: their names, in the order of execution.
        followers: by the name of a layer, the batch norm that alone reads it.
        last_terms: layers that are added to what has been made before them.
        batches: calibration data; may be empty.
        finetune_steps: gradient steps a site after the closed forms.
        notes: to be filled with what the user should know.
        report: reports progress.
    """

    original: nn.Module
    converted: nn.Module
    sites: Sequence[str]
    followers: Mapping[str, str] = field(default_factory=dict)
    last_terms: Collection[str] = ()
    batches: Sequence[Example] = ()
    finetune_steps: int = 0
    notes: list[str] = field(default_factory=list)
    report: Report = silent

    def ghost(self, site: str) -> GhostModule:
        """The Ghost module to be filled."""
        module = self.converted.get_submodule(site)
        assert isinstance(module, GhostModule)
        return module

    def move_mean(self, layer: str, constants: object) -> None:
        """Have the batch norm behind ``layer`` add constants ``(n,)`` to its maps."""
        norm = self.converted.get_submodule(self.followers[layer])
        norm.get_buffer("running_mean").sub_(constants)  # type: ignore[arg-type]
