import os

import pytest
import torch

from ghostify.conversion.init.scratch import scratch


def test_it_is_a_tensor_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tensor = scratch((3, 4), torch.float64)
    assert not list(tmp_path.iterdir())
    tensor.fill_(2)
    assert tensor.dtype == torch.float64
    assert float((tensor @ tensor.T).sum()) == 3 * 3 * 16


@pytest.mark.parametrize("shape", [(0,), (3, 0, 2)])
def test_empty_tensors_need_no_file(shape):
    assert scratch(shape).shape == shape


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no way to claim room")
def test_a_full_disk_is_an_error_at_once(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        scratch((3, 4))
    assert not list(tmp_path.iterdir())
