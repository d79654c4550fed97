import pytest

from ghostify.training.schedule import lr_at, phase_at
from ghostify.types import RecoverySettings


def test_the_layerwise_phase_is_first_and_each_phase_has_its_own_share():
    settings = RecoverySettings(layerwise_fraction=0.4)
    assert phase_at(0.1, settings) == ("layer-wise", 0.25)
    assert phase_at(0.4, settings) == ("end-to-end", 0)
    assert phase_at(0.7, settings) == ("end-to-end", pytest.approx(0.5))
    assert phase_at(0.5, RecoverySettings(layerwise_fraction=1)) == ("layer-wise", 0.5)


def test_linear_warmup_then_cosine_decay():
    settings = RecoverySettings(lr=8.0, warmup=0.2)
    shares = (0, 0.1, 0.2, 0.6, 1)
    found = [lr_at(share, settings) for share in shares]
    assert found == pytest.approx([0, 4, 8, 4, 0])
    assert lr_at(0, RecoverySettings(lr=8.0, warmup=0)) == 8
