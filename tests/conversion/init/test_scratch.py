import os
import platform
import subprocess
import sys

import pytest
import torch

from ghostify.conversion.init import scratch as scratch_module
from ghostify.conversion.init.scratch import ScratchArchive, ScratchMemory, scratch


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


def test_tensors_take_turns_in_one_file():
    memory = ScratchMemory()
    first, second = memory.tensors((2, 3), (4,))
    first.fill_(1)
    second.fill_(2)
    assert (float(first.sum()), float(second.sum())) == (6, 8)
    (smaller,) = memory.tensors((3, 2))
    assert smaller.data_ptr() == first.data_ptr()
    (larger,) = memory.tensors((20,))
    assert larger.fill_(3).sum() == 60


def test_kept_tensors_share_files(monkeypatch):
    made = []
    monkeypatch.setattr(scratch_module, "_ARCHIVE_NUMBERS", 10)
    monkeypatch.setattr(
        scratch_module, "scratch", lambda shape: made.append(shape) or torch.empty(shape)
    )
    archive, values = ScratchArchive(), [torch.randn(2, 3), torch.randn(4), torch.randn(5, 7)]
    kept = [archive.keep(each) for each in values]
    assert all(map(torch.equal, kept, values))
    assert made == [(10,), (35,)]


ARENAS = """
import ctypes, threading
from ghostify.conversion.init.scratch import share_memory_of_threads
{limit}
together = threading.Barrier(9)
for _ in range(8):
    threading.Thread(target=lambda: (bytearray(10_000), together.wait()), daemon=True).start()
together.wait()
ctypes.CDLL(None).malloc_stats()
"""


def arenas(limit):
    code = ARENAS.format(limit=limit)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stderr.count("Arena ")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others have no arenas")
def test_threads_share_memory():
    assert arenas("share_memory_of_threads()") <= 2 < arenas("")
