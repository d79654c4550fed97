import errno
import json
import random
from dataclasses import replace

import pytest
import torch

from ghostify.data.rng import generator_states
from ghostify.io.checksummed_json import checksummed
from ghostify.training import checkpoint
from ghostify.training.checkpoint import (
    Checkpoint,
    has_checkpoint,
    has_ended,
    read_checkpoint,
    remove_checkpoints,
    remove_leftovers,
    remove_training,
    write_checkpoint,
)
from ghostify.training.origin import Origin
from ghostify.training.position import Position
from ghostify.types import GhostifyError, RecoverySettings

ORIGIN = Origin("a", "b", RecoverySettings())


def at(step, **position):
    tensors = {"weights": torch.full((3,), float(step))}
    return Checkpoint(ORIGIN, Position(step, **position), tensors)


def step_in(folder):
    return read_checkpoint(folder).position.step


def test_the_latest_checkpoint_replaces_the_previous_one(tmp_path):
    for step in (9, 10, 2):
        write_checkpoint(tmp_path, at(step))
        assert read_checkpoint(tmp_path).tensors["weights"].tolist() == [step] * 3
        assert len(list(tmp_path.iterdir())) == 1


def test_the_latest_of_two_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_remove", lambda path: None)  # as if killed before
    for step in range(11):
        write_checkpoint(tmp_path, at(step))
        assert step_in(tmp_path) == step


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    written = at(9, sums={"loss": 0.1}, history=({"epoch": 1, "loss": float("inf")},))
    write_checkpoint(tmp_path, written)
    found = read_checkpoint(tmp_path)
    assert (found.origin, found.position) == (ORIGIN, written.position)


def test_ended_trainings(tmp_path):
    assert not has_ended(tmp_path)
    write_checkpoint(tmp_path, at(9))
    assert not has_ended(tmp_path)
    write_checkpoint(tmp_path, at(9, ended="epochs"))
    assert has_ended(tmp_path)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), RuntimeError("short")])
def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path, monkeypatch, error):
    write_checkpoint(tmp_path, at(9))

    def half_written(_, path):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(checkpoint.torch, "save", half_written)
    with pytest.raises(OSError, match=r"No space left|training.pt: short"):
        write_checkpoint(tmp_path, at(10))
    assert step_in(tmp_path) == 9
    assert len(list(tmp_path.iterdir())) == 1


def test_partial_checkpoints_are_ignored_and_removed(tmp_path):
    for place in (tmp_path, tmp_path / "stage-2"):
        (place / ".checkpoint-000011.x1").mkdir(parents=True)
        assert read_checkpoint(place) is None
        write_checkpoint(place, at(9))
        assert step_in(place) == 9
    remove_leftovers(tmp_path)
    assert not list(tmp_path.rglob(".*"))
    assert step_in(tmp_path) == step_in(tmp_path / "stage-2") == 9


@pytest.mark.parametrize("name", ["checkpoint-500", "checkpoint-000009", "checkpoint-best"])
def test_checkpoints_of_other_programs_are_left_alone(tmp_path, name):
    file = tmp_path / name / "model.safetensors"
    file.parent.mkdir()
    file.touch()
    assert not has_checkpoint(tmp_path)
    for step in (1, 2):
        write_checkpoint(tmp_path, at(step))
        assert step_in(tmp_path) == step
    remove_checkpoints(tmp_path)
    assert file.exists()
    assert not has_checkpoint(tmp_path)


def test_linked_checkpoints_are_left_alone(tmp_path):
    write_checkpoint(tmp_path / "other", at(9))
    (other,) = (tmp_path / "other").iterdir()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / other.name).symlink_to(other)
    assert not has_checkpoint(tmp_path / "own")
    remove_checkpoints(tmp_path / "own")
    assert step_in(tmp_path / "other") == 9


def test_every_flipped_bit_is_noticed(tmp_path):
    write_checkpoint(tmp_path, at(9))
    (folder,) = tmp_path.iterdir()
    draw = random.Random(0)
    for name in ("training.pt", "training.json"):
        content = (folder / name).read_bytes()
        for _ in range(40):
            damaged = bytearray(content)
            damaged[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            (folder / name).write_bytes(damaged)
            with pytest.raises(GhostifyError, match=rf"checkpoint-000001/{name} is damaged: "):
                read_checkpoint(tmp_path)
        (folder / name).write_bytes(content)
    assert step_in(tmp_path) == 9


@pytest.mark.parametrize("damage", ["missing", "empty", "exchanged"])
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    write_checkpoint(tmp_path, at(9))
    tensors = tmp_path / "checkpoint-000001" / "training.pt"
    if damage == "missing":
        tensors.unlink()
    elif damage == "empty":
        tensors.write_bytes(b"")
    else:
        torch.save(at(10).tensors, tensors)
    with pytest.raises(GhostifyError, match=r"checkpoint-000001/training.pt is damaged: "):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("entry", "value"),
    [("position", {"step": "nine"}), ("origin", {}), ("tensors", 3), ("format", "another/1")],
)
def test_a_resealed_checkpoint_is_decoded_by_types(tmp_path, entry, value):
    write_checkpoint(tmp_path, at(9))
    file = tmp_path / "checkpoint-000001" / "training.json"
    content = json.loads(file.read_text())
    content.pop("digest")
    file.write_text(checksummed(content | {entry: value}))
    with pytest.raises(GhostifyError, match=r"training.json is damaged: invalid seal: "):
        read_checkpoint(tmp_path)


def test_generator_states_need_no_pickle(tmp_path):
    write_checkpoint(tmp_path, replace(at(1), tensors=generator_states()))
    assert torch.equal(read_checkpoint(tmp_path).tensors["torch"], torch.get_rng_state())


def test_remove_checkpoints_leaves_the_history(tmp_path):
    write_checkpoint(tmp_path, at(9))
    (tmp_path / "history.jsonl").touch()
    remove_checkpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["history.jsonl"]


def test_remove_training_leaves_what_others_wrote(tmp_path):
    own, foreign = tmp_path / "own", tmp_path / "foreign"
    for folder in (own, foreign):
        for place in (folder / "recovery", folder / "recovery" / "stage-1"):
            write_checkpoint(place, at(9))
            (place / "history.jsonl").touch()
    (foreign / "recovery" / "notes.txt").touch()
    for folder in (own, foreign):
        remove_training(folder)
    assert not own.exists()
    assert [path.name for path in foreign.rglob("*")] == ["recovery", "notes.txt"]
