"""An exported file as a module."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ghostify.analysis.model_copy import frozen_copy
from ghostify.data.batches import call
from ghostify.deployment.exported import Exported
from ghostify.deployment.exporters import EXPORTERS
from ghostify.deployment.tensors import replace_tensors, tensors_of
from ghostify.types import Example


class ExportedModule(nn.Module):
    """Runs an exported file in its runtime, with the inputs and outputs of the network.

    Args:
        exported: the file, of any batch size.
        network: the network that was exported.
        example: an input of it.
    """

    def __init__(self, exported: Exported, network: nn.Module, example: Example) -> None:
        super().__init__()
        self._session = EXPORTERS[exported.to].open(exported.path, torch.get_num_threads())
        with torch.no_grad():
            self._output = call(frozen_copy(network), example)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return replace_tensors(self._output, self._session(tensors_of((args, kwargs))))
