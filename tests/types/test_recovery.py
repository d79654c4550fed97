import json

import pytest

from ghostify.types import GhostifyError, Recovery, RecoverySettings, Score
from ghostify.types.recovery import Selection


def test_json_round_trip():
    recovery = Recovery(
        RecoverySettings(epochs=3, layerwise_fraction=0.5), 30, 960, 1.5, "epochs",
        original=Score(10, top1=0.9), converted=Score(10, top1=0.5), recovered=None,
        history=({"epoch": 1, "loss": 0.1, "score": None},),
    )  # fmt: skip
    assert Recovery.from_dict(json.loads(json.dumps(recovery.to_dict()))) == recovery


@pytest.mark.parametrize("data", [None, {}, {"settings": {}, "history": [], "more": 1}])
def test_invalid_records(data):
    with pytest.raises(GhostifyError):
        Recovery.from_dict(data)


def test_stages_are_joined_with_consecutive_epochs():
    def stage(epochs, best, score):
        history = tuple({"epoch": epoch + 1, "loss": 0.5} for epoch in range(epochs))
        return Recovery(
            RecoverySettings(), 10, 320, 2.0, "epochs",
            recovered=Score(10, top1=score), best_epoch=best, history=history,
        )  # fmt: skip

    joined = Recovery.joined([stage(2, 1, 0.9), stage(3, 2, 0.8)])
    assert (joined.steps, joined.images, joined.seconds) == (20, 640, 4)
    assert [(r["stage"], r["epoch"]) for r in joined.history] == [
        (1, 1), (1, 2), (2, 3), (2, 4), (2, 5),
    ]  # fmt: skip
    assert (joined.best_epoch, joined.recovered.top1) == (4, 0.8)
    assert Recovery.joined([stage(2, 1, 0.9), stage(3, 0, 0.8)]).best_epoch == 0


@pytest.mark.parametrize(
    ("epochs", "best", "words"),
    [
        (1, 0, "the epoch was not better: chosen"),
        (3, 0, "none of 3 epochs was better: chosen"),
        (3, 2, "epoch 2 of 3 kept: chosen"),
    ],
)
def test_notes_say_which_epoch_was_kept(epochs, best, words):
    score = Score(250, top1=0.9)
    recovery = Recovery(
        RecoverySettings(lr=1e-3), 30, 960, 1.5, "epochs", best_epoch=best,
        history=tuple({"epoch": number + 1} for number in range(epochs)),
        selection=Selection("validation", 250, 250, score, score),
    )  # fmt: skip
    assert recovery.notes()[-1].startswith(words)
