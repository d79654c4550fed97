"""Bytes in use, as far as the system tells."""

import pytest
import torch

from ghostify.deployment.memory import peak_memory, reset_peak

CPU = torch.device("cpu")


@pytest.mark.skipif(reset_peak(CPU) is None, reason="this system does not tell")
def test_a_peak_is_seen_after_it_has_passed_and_only_once():
    before = reset_peak(CPU)
    torch.ones(25_000_000)  # 100 MB, given back at once
    assert peak_memory(CPU) - before > 90_000_000
    reset_peak(CPU)
    assert peak_memory(CPU) - before < 50_000_000
