import json

import pytest

from ghostify.types import Evaluation, EvaluationRow, GhostifyError, Score


def standing(**score):
    return EvaluationRow(Score(**{"images": 10, **score}), macs=5, params=3)


EVALUATION = Evaluation("digits", 10, {"original": standing(top1=0.9, loss=0.5)})


def test_the_better_of_two():
    assert Score(1, top1=0.9, kl=9.0).selection_score > Score(1, top1=0.8, kl=0.0).selection_score
    assert (
        Score(1, agreement=0.5, kl=0.1).selection_score
        > Score(1, agreement=0.9, kl=0.2).selection_score
    )
    assert (
        Score(1, relative_error=0.1).selection_score > Score(1, relative_error=0.2).selection_score
    )
    with pytest.raises(GhostifyError, match="says nothing"):
        _ = Score(1).selection_score


def test_through_json():
    assert Evaluation.from_dict(json.loads(json.dumps(EVALUATION.to_dict()))) == EVALUATION


@pytest.mark.parametrize(
    "data", [None, {}, {"data": "x", "held_out": 0, "standings": {"a": {"score": {"image": 1}}}}]
)
def test_what_is_no_evaluation(data):
    with pytest.raises(GhostifyError):
        Evaluation.from_dict(data)


def test_earlier_standings_stay():
    found = Evaluation("digits", 10, {"converted": standing(top1=0.5)})
    assert list(found.over(EVALUATION).standings) == ["original", "converted"]
    assert found.over(EVALUATION).over(found) == found.over(EVALUATION)


def test_later_standings_are_of_other_weights():
    recovered = Evaluation(
        "digits", 10, {"converted": standing(top1=0.5), "recovered": standing(top1=0.8)}
    ).over(EVALUATION)
    assert list(recovered.standings) == ["original", "converted", "recovered"]
    anew = Evaluation("digits", 10, {"converted": standing(top1=0.6)}).over(recovered)
    assert list(anew.standings) == ["original", "converted"]
    assert anew.standings["converted"].score.top1 == 0.6


@pytest.mark.parametrize(
    "other",
    [
        None,
        Evaluation("cifar10", 10, EVALUATION.standings),
        Evaluation("digits", 20, EVALUATION.standings),
        Evaluation("digits", 10, {"original": standing(images=9)}),
    ],
)
def test_standings_on_other_images_do_not(other):
    found = Evaluation("digits", 10, {"converted": standing()})
    assert found.over(other) is found
