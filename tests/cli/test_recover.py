"""``ghostify recover``"""

import importlib
import json
import os
import signal
from dataclasses import asdict

import pytest
import typer

from ghostify import Artifact, RecoverySettings
from ghostify.cli.app import app
from ghostify.io.recipe import read_recipe
from ghostify.types import Recovery, Score
from ghostify.types.recovery import Selection


@pytest.fixture
def out(run, shades, tmp_path):
    result = run("convert", "classes.py:build", "--input", "3x16x16", "--out", "out")
    assert result.code == 0, result.err
    return tmp_path / "out"


@pytest.fixture
def interrupted_at(monkeypatch):
    """Has Ctrl-C pressed after a step of a training."""
    import ghostify.training.trainer as training

    step = training.Trainer._step

    def arrange(number):
        def interrupted(self, *arguments):
            step(self, *arguments)
            if self.state.position.step == number:
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(training.Trainer, "_step", interrupted)

    return arrange


def recover(run, *arguments):
    return run(
        "recover", "out", "--data", "shades", "--model", "classes.py:build", *arguments,
        "--input", "3x16x16", "--batch-size", "8",
    )  # fmt: skip


def test_table_and_artifact(run, out):
    result = recover(
        run, "--epochs", "5", "--alpha", "1", "--lr", "0.02", "--held-out", "0.2",
        "--format", "json",
    )  # fmt: skip
    assert result.code == 0, result.err
    rows = json.loads(result.out)["rows"]
    assert list(rows) == ["original", "converted", "recovered"]
    assert rows["original"]["score"]["agreement"] == 1
    assert rows["recovered"]["score"]["top1"] is not None
    assert rows["recovered"]["macs"] == rows["converted"]["macs"]
    assert rows["recovered"]["macs"] < rows["original"]["macs"]
    assert "epoch 5, 0:0" in result.err
    assert "Saved to out-recovered: the weights of epoch" in result.err
    step = result.err.splitlines()[-1]
    assert step.startswith("To measure the speed-up: ghostify benchmark out-recovered")
    assert read_recipe(out).recovery is None
    new = out.with_name("out-recovered")
    assert read_recipe(new).recovery.steps == 30
    assert len((new / "recovery" / "history.jsonl").read_text().splitlines()) == 5
    again = run(
        "evaluate", new, "--data", "shades", "--model", "classes.py:build",
        "--held-out", "0.2", "--input", "3x16x16", "--format", "json",
    )  # fmt: skip
    assert again.code == 0, again.err
    repeated = json.loads(again.out)["rows"]
    assert repeated["converted"] == rows["converted"]
    assert repeated["recovered"]["score"]["top1"] == rows["recovered"]["score"]["top1"]


def test_without_labels_and_held_out_images(run, out):
    result = recover(run, "--epochs", "1", "--no-labels", "--held-out", "0", "--out", "new")
    assert result.code == 0, result.err
    assert "too few images to hold any out" in result.err
    assert "chosen and scored on the same 56 training images" in result.err
    assert read_recipe(out.with_name("new")).recovery.selection.kind == "training"


def test_nothing_is_saved_if_no_epoch_is_better(run, out):
    before = read_recipe(out)
    result = recover(run, "--epochs", "1", "--lr", "1e-12")
    assert "; nothing is saved." in result.err
    assert read_recipe(out) == before
    assert not out.with_name("out-recovered").exists()
    assert "converted" in result.out
    assert "recovered" not in result.out


@pytest.mark.parametrize(
    ("recovery", "said", "unsaid"),
    [
        ({"best_epoch": 2}, "Saved to out: the weights of epoch 2.", "othing is saved"),
        ({"rejected": 2}, "Nothing is saved.", "did not improve"),
        ({}, "Held-out top-1 did not improve (80.00% against 90.00%); nothing is saved.", "Saved"),
    ],
)
def test_what_became_of_a_training_is_said(run, out, monkeypatch, recovery, said, unsaid):
    given, found = Score(8, top1=0.9), Score(8, top1=0.8)
    selection = Selection("held-out", 8, 8, given, given, recovery.pop("rejected", 0))
    record = {"epoch": 1, "seconds": 61, "loss": 0.5, "score": asdict(found)}
    done = Recovery(
        RecoverySettings(), 3, 96, 1.0, "epochs", given, given, found, selection=selection,
        history=(record,), **recovery,
    )  # fmt: skip

    def recover_nothing(artifact, *_, on_epoch, **__):
        on_epoch(record)
        return artifact, done, None

    monkeypatch.setattr(Artifact, "recover", recover_nothing)
    result = recover(run)
    assert result.code == 0, result.err
    lines = result.err.splitlines()
    assert said in lines
    assert "epoch 1, 1:01: loss 0.5; held out: top-1 80.00%" in lines
    assert not any(unsaid in line for line in lines)


def test_ctrl_c_says_how_to_continue(run, out, interrupted_at, monkeypatch):
    interrupted_at(8)
    result = recover(run, "--epochs", "2")
    assert result.code == 130
    assert "repeat with --resume" in result.err
    monkeypatch.undo()
    monkeypatch.chdir(out.parent)
    assert "unfinished training" in recover(run, "--epochs", "2").err
    result = recover(run, "--epochs", "2", "--resume")
    assert result.code == 0, result.err
    left = list(out.with_name("out-recovered").glob("recovery/*"))
    assert [file.name for file in left] in ([], ["history.jsonl"])


def test_stages(run, out):
    result = recover(
        run, "--stages", "2", "--epochs", "2", "--no-labels", "--held-out", "0.2",
        "--format", "json",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "stage 2, epoch 2, 0:0" in result.err
    assert "Saved to out-recovered" in result.err
    rows = json.loads(result.out)["rows"]
    assert list(rows) == ["original", "converted", "recovered"]
    assert rows["recovered"]["macs"] == rows["converted"]["macs"]
    new = out.with_name("out-recovered")
    recovery = read_recipe(new).recovery
    assert recovery.steps == 2 * 2 * 6
    assert asdict(recovery.converted) == rows["converted"]["score"]
    assert [record["stage"] for record in recovery.history] == [1, 1, 2, 2]
    left = {str(path.relative_to(new / "recovery")) for path in (new / "recovery").rglob("*")}
    assert left == {f"stage-{n}{file}" for n in (1, 2) for file in ("", "/history.jsonl")}


def test_interrupted_stages(run, out, interrupted_at, monkeypatch):
    interrupted_at(3)
    result = recover(run, "--stages", "2", "--epochs", "1")
    assert result.code == 130
    assert "repeat with --resume" in result.err
    monkeypatch.undo()
    monkeypatch.chdir(out.parent)
    assert "pass --stages" in recover(run, "--resume").err
    assert "unfinished training" in recover(run, "--stages", "2").err
    result = recover(run, "--stages", "2", "--epochs", "1", "--resume")
    assert result.code == 0, result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "shades"], "add --model classes.py:build"),
        (["--data", "none", "--model", "classes.py:build"], "none"),
        (["--data", "shades", "--model", "classes.py:build", "--alpha", "2"], "--alpha (=2.0)"),
    ],
)
def test_errors_are_one_line(run, out, arguments, message):
    result = run("recover", "out", *arguments, "--input", "3x16x16")
    assert result.code == 1
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_events_for_tensorboard(run, out):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    assert recover(run, "--epochs", "1", "--tensorboard").code == 0
    assert list(out.parent.glob("out-recovered/recovery/events*"))


@pytest.mark.parametrize("launcher", ["torch.distributed.run", "accelerate.commands.launch"])
def test_launchers_do_not_claim_an_option(launcher):
    """Argparse reads ``--local`` as short for torchrun's ``--local-addr``, wherever it stands."""
    module = importlib.import_module(launcher)
    parser = getattr(module, "get_args_parser", getattr(module, "launch_command_parser", None))()
    command = typer.main.get_command(app).commands["recover"]
    options = [option for parameter in command.params for option in parameter.opts]
    assert "--data" in options
    for option in options:
        assert not [known for known in parser._option_string_actions if known.startswith(option)]
