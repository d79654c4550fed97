"""The original of an artifact: the network, and its weights when they are needed."""

from __future__ import annotations

import os
import warnings
from functools import cached_property
from pathlib import Path

from torch import nn

from ghostify import models
from ghostify.analysis.model_copy import copy_model
from ghostify.data.batches import device_of
from ghostify.deployment.reparameterize import reparameterize
from ghostify.io.recipe import Recipe
from ghostify.models.identity import (
    check_original,
    file_digest,
    is_untrained,
    weights_digest,
)
from ghostify.models.registry import is_named, untrusted_arguments
from ghostify.types import GhostifyError, ModelSource, OriginalWeights
from ghostify.types.errors import GhostifyWarning


class MissingWeightsError(GhostifyError):
    """The original's weights cannot be found, or were never trained."""


class Original:
    """The unconverted network of an artifact.

    Args:
        folder: the artifact.
        recipe: its recipe.
        given: the network, if the caller has it. Default: built by its name.
        weights: a file with its weights, instead of the recorded one.
    """

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        given: nn.Module | None,
        weights: str | os.PathLike[str] | None,
    ) -> None:
        self._folder, self._source = folder, recipe.source
        self._recorded = recipe.original and recipe.original.located_in(folder)
        self._given, self._weights = given, weights

    @property
    def named_source(self) -> ModelSource:
        """Where the network comes from, if it can be built by its name.

        Raises:
            GhostifyError: if the recipe does not say, or names the user's own code, which is not
                run on a folder's word, or arguments that could name a file.
        """
        if self._source is None:
            raise GhostifyError(
                f"{self._folder} does not say what it was made from: pass the unconverted model"
            )
        if not is_named(self._source):
            raise GhostifyError(
                f"{self._folder} was made from your own code ({self._source.name}). For safety, "
                "code named in a folder is not run: pass the unconverted model"
            )
        if names := untrusted_arguments(self._source):
            raise GhostifyError(
                f"{self._folder} was made with the argument {names[0]!r} of {self._source.name}. "
                "For safety, one that could name a file is not used: pass the unconverted model"
            )
        return self._source

    @cached_property
    def network(self) -> nn.Module:
        """The network; its weights may be others than those that were converted."""
        return self._merged(self._unmerged)

    @cached_property
    def _unmerged(self) -> nn.Module:
        return self._given if self._given is not None else models.build(self.named_source)[0]

    def _merged(self, network: nn.Module) -> nn.Module:
        """Merge the branches of a network if those of the original were."""
        known = OriginalWeights.find(network)
        wanted = self._recorded is not None and self._recorded.merged is not None
        if not wanted or (known is not None and known.merged is not None):
            return network
        return reparameterize(network)

    @cached_property
    def trained(self) -> nn.Module:
        """The network with the weights that were converted.

        Raises:
            MissingWeightsError: if they cannot be found, or were never trained.
            GhostifyError: if the caller gave others.
        """
        recorded, given = self._recorded, self._given
        if recorded is not None and not recorded.trained:
            raise MissingWeightsError(
                f"{self._folder} was converted from a randomly initialized network: convert the "
                "network with its trained weights"
            )
        if self._weights is not None:
            # Loaded in part they may be those that were converted, as the digest tells.
            network = self.with_weights(self._weights, partial=recorded is not None)
            what = os.fspath(self._weights)
        elif given is None or (recorded is not None and is_untrained(given)):
            return self._with_recorded_weights()
        else:
            network, what = self.network, "`original`"
        try:
            check_original(network, recorded, what)
        except GhostifyError as error:
            if self._weights is not None or recorded is None:
                raise
            return self._instead_of_given(error)
        return network

    def _instead_of_given(self, error: GhostifyError) -> nn.Module:
        """Return the network with the recorded weights; the given one may have loaded its own."""
        try:
            network = self._with_recorded_weights()
        except MissingWeightsError as missing:
            raise GhostifyError(f"{error}: pass `weights`") from missing
        warnings.warn(
            "the original's own weights are not those that were converted: "
            f"{self._recorded} are used",
            GhostifyWarning,
            stacklevel=4,
        )
        return network

    @property
    def converted(self) -> nn.Module:
        """The network that was converted, `trained` unless it was randomly initialized."""
        is_random = self._recorded is not None and not self._recorded.trained
        return self.network if is_random else self.trained

    def with_weights(self, file: str | os.PathLike[str], *, partial: bool = False) -> nn.Module:
        """Return a copy of the network with the weights in a file, as `models.load_weights`."""
        network = copy_model(self._unmerged)
        models.load_weights(network, Path(file), partial=partial)
        return self._merged(network)

    def _with_recorded_weights(self) -> nn.Module:
        recorded = self._recorded
        if recorded is None or (recorded.name is None and recorded.file is None):
            raise MissingWeightsError(
                f"{self._folder} does not say where its original's weights are: pass `weights`"
            )
        wanted = f"{self._folder} was converted from {recorded}"
        if recorded.name is not None:
            try:
                network = models.build(self.named_source, pretrained=recorded.name)[0]
                network = self._merged(network).to(device_of(self.network))
            except GhostifyError as error:
                raise MissingWeightsError(f"{wanted}: {error}") from error
        else:
            file = Path(recorded.file or "")
            if not file.is_file():
                raise MissingWeightsError(f"{wanted}, which is not there: pass `weights`")
            if file_digest(file) != recorded.sha256:
                raise MissingWeightsError(f"{wanted}, which has changed since: pass `weights`")
            network = self.with_weights(file, partial=True)
        if weights_digest(network) != recorded.digest:
            raise MissingWeightsError(f"{wanted}, which give another network now: pass `weights`")
        return network
