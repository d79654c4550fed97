import errno

import pytest
import torch

from ghostify.data.rng import generator_states
from ghostify.training import checkpoint
from ghostify.training.checkpoint import (
    Checkpoint,
    read_checkpoint,
    remove_checkpoints,
    write_checkpoint,
)
from ghostify.types import GhostifyError


def at(step):
    return Checkpoint({"step": step}, {"weights": torch.full((3,), float(step))})


def test_the_latest_checkpoint_replaces_the_previous_one(tmp_path):
    write_checkpoint(tmp_path, at(9))
    write_checkpoint(tmp_path, at(10))
    assert read_checkpoint(tmp_path).tensors["weights"].tolist() == [10, 10, 10]
    assert len(list(tmp_path.iterdir())) == 1


def test_two_checkpoints_of_one_step(tmp_path):
    write_checkpoint(tmp_path, at(9))
    write_checkpoint(tmp_path, Checkpoint({"step": 9, "epoch": 1}, {}))
    write_checkpoint(tmp_path, Checkpoint({"step": 9, "epoch": 2}, {}))
    assert read_checkpoint(tmp_path).position == {"step": 9, "epoch": 2}


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), RuntimeError("short")])
def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path, monkeypatch, error):
    write_checkpoint(tmp_path, at(9))

    def half_written(_, path):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(checkpoint.torch, "save", half_written)
    with pytest.raises(OSError, match=r"No space left|training.pt: short"):
        write_checkpoint(tmp_path, at(10))
    assert read_checkpoint(tmp_path).position == {"step": 9}
    assert len(list(tmp_path.iterdir())) == 1


def test_partial_checkpoints_are_ignored(tmp_path):
    (tmp_path / ".checkpoint-000000011.x1").mkdir()
    assert read_checkpoint(tmp_path) is None
    write_checkpoint(tmp_path, at(9))
    assert read_checkpoint(tmp_path).position == {"step": 9}


def test_a_damaged_checkpoint_is_named(tmp_path):
    write_checkpoint(tmp_path, at(9))
    (tmp_path / "checkpoint-000000009" / "training.pt").write_bytes(b"nothing")
    with pytest.raises(GhostifyError, match="checkpoint-000000009 is damaged"):
        read_checkpoint(tmp_path)


def test_generator_states_need_no_pickle(tmp_path):
    write_checkpoint(tmp_path, Checkpoint({"step": 1}, generator_states()))
    assert torch.equal(read_checkpoint(tmp_path).tensors["torch"], torch.get_rng_state())


def test_remove_checkpoints_leaves_the_history(tmp_path):
    write_checkpoint(tmp_path, at(9))
    (tmp_path / "history.jsonl").touch()
    remove_checkpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["history.jsonl"]
