"""Two processes learn from the same batches what one does."""

import json
import multiprocessing
import os
import socket

import pytest
import torch
from torch.utils.data import DataLoader

import ghostify
from ghostify import RecoverySettings


def in_two_processes(function):
    """Run it by gloo, as torchrun would."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])

    def begin(rank):
        from accelerate.state import AcceleratorState

        names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
        os.environ |= {name: str(number) for name, number in names.items()}
        os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": port}
        AcceleratorState._reset_state(reset_partial_state=True)
        function()
        torch.distributed.destroy_process_group()

    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=begin, args=(rank,)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]


@pytest.mark.alone
@pytest.mark.parametrize("listed", [False, True])
def test_two_processes_have_the_losses_and_the_weights_of_one(
    teacher, student, data, tmp_path, listed
):
    settings = RecoverySettings(
        epochs=2, feature_weight=1.0, layerwise_fraction=0.3, alpha=0.3, optimizer="sgd"
    )
    validation = DataLoader(data.dataset, batch_size=19)
    if listed:
        data, validation = list(data), list(validation)

    def train(name):
        recovered, _ = ghostify.recover(
            teacher, student, data, settings, folder=tmp_path / name, validation=validation
        )
        if os.environ.get("RANK", "0") == "0":
            torch.save(recovered.state_dict(), tmp_path / f"{name}.pt")

    in_two_processes(lambda: train("two"))
    train("one")
    found = [
        [json.loads(line) for line in (tmp_path / name / "history.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    assert len(found[0]) == len(found[1]) == 2
    for one, two in zip(*found, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)
        assert two["features"] == pytest.approx(one["features"], rel=1e-4)
        for name, number in one["score"].items():
            assert number is None or two["score"][name] == pytest.approx(number, rel=1e-3)
    weights = [torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("one", "two")]
    for name in weights[0]:
        torch.testing.assert_close(weights[0][name], weights[1][name], atol=1e-4, rtol=1e-3)
