"""Networks whose batch norms do something, as those of trained ones do."""

import pytest
import torch
from torch import nn


@pytest.fixture
def lived_in():
    """Gives batch norms statistics and parameters that are not zero or one."""

    @torch.no_grad()
    def change(network):
        for norm in filter(lambda m: isinstance(m, nn.BatchNorm2d), network.modules()):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 2)
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_(0, 0.1)
        return network.eval()

    return change
