"""Tables of a recovery training."""

import csv
import io
import json
from dataclasses import asdict, replace

from ghostify.report.formats import to_csv, to_json
from ghostify.report.recovery_table import list_recovery
from ghostify.types import Recovery, RecoverySettings, Score


def epoch(number, top1, **more):
    score = asdict(Score(50, top1=top1, loss=0.25, agreement=0.875))
    return {
        "epoch": number,
        "seconds": 35 * number,
        "lr": 0.01,
        "loss": 1.5,
        "score": score,
        **more,
    }


RECOVERY = Recovery(
    RecoverySettings(), steps=20, images=640, seconds=70.4, ended="epochs",
    original=Score(40, top1=0.95), converted=Score(40, top1=0.5, agreement=0.525),
    recovered=Score(40, top1=0.9, agreement=0.925), best_epoch=2,
    history=(epoch(1, 0.8), epoch(2, 0.9)),
)  # fmt: skip


def test_scores_and_epochs():
    document = list_recovery(RECOVERY)
    assert document.title == "Recovery: 2 epochs, 20 steps on 640 images, 1:10 min"
    scores, epochs = document.tables
    assert scores.title == "Scores on 40 images"
    assert [column.heading for column in scores.columns] == ["network", "top-1", "agree"]
    assert scores.rows == (
        ("original", "95.00%", "-"), ("converted", "50.00%", "52.50%"),
        ("recovered", "90.00%", "92.50%"),
    )  # fmt: skip
    headings = [column.heading for column in epochs.columns]
    assert headings == ["epoch", "time", "lr", "loss", "top-1", "agree", ""]
    assert epochs.rows == (
        ("1", "35 s", "0.01", "1.5", "80.00%", "87.50%", ""),
        ("2", "1:10 min", "0.01", "1.5", "90.00%", "87.50%", "kept"),
    )
    assert document.notes == ()


def test_stages_and_an_early_end():
    history = (epoch(1, 0.8, stage=1), epoch(2, 0.9, stage=2, back_to=1))
    document = list_recovery(replace(RECOVERY, history=history, ended="patience", best_epoch=0))
    epochs = document.tables[1]
    assert [row[:2] for row in epochs.rows] == [("1", "1"), ("2", "2")]
    assert {row[-1] for row in epochs.rows} == {""}
    assert document.notes[0] == "ended early: no further epoch was better"
    assert document.notes[1].startswith("epoch 2 collapsed")


def test_a_training_without_scores():
    history = ({"epoch": 1, "loss": 0.5, "score": None},)
    found = replace(RECOVERY, original=None, converted=None, recovered=None, history=history)
    (epochs,) = list_recovery(found).tables
    assert epochs.rows == (("1", "-", "-", "0.5", ""),)
    assert list_recovery(replace(found, history=())).tables == ()


def test_csv_and_json():
    document = list_recovery(RECOVERY)
    rows = list(csv.DictReader(io.StringIO(to_csv(document))))
    assert [(r["epoch"], r["training_loss"], r["loss"], r["top1"]) for r in rows] == [
        ("1", "1.5", "0.25", "0.8"), ("2", "1.5", "0.25", "0.9"),
    ]  # fmt: skip
    assert Recovery.from_dict(json.loads(to_json(document))) == RECOVERY
    unscored = replace(RECOVERY, history=({"epoch": 1, "score": None}, epoch(2, 0.9)))
    assert to_csv(list_recovery(unscored)).count("\n") == 3
