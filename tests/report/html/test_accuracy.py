"""How accurate a network is."""

import pytest

from ghostify.io.measurements import record
from ghostify.report.changes import Change
from ghostify.report.evaluation import Evaluation, EvaluationRow
from ghostify.report.html.accuracy import accuracies
from ghostify.report.html.summary import ArtifactSummary
from ghostify.types import Score


def evaluate(folder, data, **rows):
    found = {name: EvaluationRow(Score(**score), 4, 2) for name, score in rows.items()}
    record(folder, "evaluation", Evaluation(data, 0, found).to_dict(), part=data)


def found(folder):
    return accuracies(ArtifactSummary(folder))


def test_the_last_row_against_the_original(artifact):
    evaluate(
        artifact, "digits",
        original={"images": 9, "top1": 0.9},
        converted={"images": 9, "top1": 0.7},
        recovered={"images": 9, "top1": 0.95},
    )  # fmt: skip
    (first, _) = found(artifact)
    assert first.values == ("90.0%", "95.0%")
    assert first.change == Change("5.0 points higher")
    assert (first.name, first.images) == ("Top-1 accuracy", "9 images of digits")


def test_images_without_a_name(artifact):
    evaluate(artifact, "data", converted={"images": 90, "top1": 0.9})
    assert found(artifact)[0].images == "90 images"


def test_images_of_the_training_are_named(artifact):
    score = {"images": 9, "top1": 0.9}
    shown = Evaluation("digits", 0, {"converted": EvaluationRow(Score(**score), 4, 2)}, seen=True)
    record(artifact, "evaluation", shown.to_dict(), part="digits")
    assert found(artifact)[0].images == "9 images of digits, some of them seen in training"


def test_without_the_original(artifact):
    evaluate(artifact, "digits", converted={"images": 9, "mae": 1.25})
    (first, _) = found(artifact)
    assert first.values == ("", "1.25")
    assert first.change == Change()


def test_labels_come_first_then_many_images(artifact):
    evaluate(artifact, "few", converted={"images": 9, "top1": 0.5})
    evaluate(artifact, "many", converted={"images": 90, "top1": 0.5})
    evaluate(artifact, "photographs", converted={"images": 900, "kl": 0.1, "agreement": 0.875})
    assert [each.data for each in found(artifact)] == ["many", "few", "photographs", ""]


@pytest.mark.parametrize(
    ("score", "name", "value"),
    [
        ({"kl": 0.1, "agreement": 0.875}, "Same top-1 class as the original", "87.5%"),
        ({"relative_error": 0.015}, "Relative error of the outputs", "1.50%"),
    ],
)
def test_the_agreement_without_labels(artifact, score, name, value):
    evaluate(artifact, "photographs", converted={"images": 30, **score})
    first = found(artifact)[0]
    assert (first.name, first.values) == (name, ("", value))
    assert first.change == Change()
    assert not first.by_labels


def test_what_the_conversion_measured(artifact, make):
    (only,) = found(artifact)
    assert (only.images, only.values) == ("20 held-out images", ("", "95.0%"))
    make.change(artifact, lambda recipe: recipe.update(lineage=["converted", "recovered"]))
    assert found(artifact) == []


def test_agreement_with_random_weights_means_nothing(artifact, make):
    evaluate(artifact, "digits", converted={"images": 9, "top1": 0.5})
    random = {"digest": "0", "trained": False}
    make.change(artifact, lambda recipe: recipe.update(original=random))
    assert [accuracy.metric for accuracy in found(artifact)] == ["top1"]


def test_an_evaluation_that_says_nothing(artifact):
    record(artifact, "evaluation", Evaluation("digits", 0, {}).to_dict(), part="a")
    evaluate(artifact, "photographs", converted={"images": 30})
    assert [accuracy.data for accuracy in found(artifact)] == [""]
