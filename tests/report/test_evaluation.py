import json
from xml.etree import ElementTree as ET

import pytest

from ghostify import GhostifyError
from ghostify.report.evaluation import Evaluation, EvaluationRow
from ghostify.report.formats import to_text
from ghostify.types import Score

EVALUATION = Evaluation(
    "digits",
    180,
    {
        "original": EvaluationRow(Score(180, top1=0.95, top5=1.0, loss=0.25), 40_000_000, 270_000),
        "converted": EvaluationRow(
            Score(
                180, top1=0.9, top5=0.99, loss=0.5, agreement=0.925, kl=0.01234, relative_error=0.05
            ),
            20_000_000,
            140_000,
        ),
    },
)


def test_a_row_for_each_network():
    document = EVALUATION.document("resnet20")
    assert document.title == "resnet20 on digits: 180 images held out from the training set"
    assert [column.heading for column in document.tables[0].columns] == [
        "network", "MACs", "params", "top-1", "top-5", "loss", "agree", "KL", "error",
    ]  # fmt: skip
    assert document.tables[0].rows == (
        ("original", "40.0M", "270K", "95.00%", "100.00%", "0.25", "-", "-", "-"),
        ("converted", "20.0M", "140K", "90.00%", "99.00%", "0.5", "92.50%", "0.0123", "5.00%"),
    )
    assert max(map(len, to_text(document).splitlines())) <= 80


def test_it_prints_as_a_table():
    assert str(EVALUATION).startswith(
        "digits: 180 images held out from the training set\n\nScores\n"
    )
    assert "| converted" in EVALUATION.to_markdown()
    assert "<td>converted</td>" in EVALUATION._repr_html_()
    assert EVALUATION.to_csv().splitlines()[1].startswith("original,40000000,270000,180,0.95,1.0,")
    assert json.loads(EVALUATION.to_json())["rows"]["converted"]["macs"] == 20_000_000


def test_unknown_metrics_have_no_column():
    alone = Evaluation("val", 0, {"original": EvaluationRow(Score(9, top1=0.5, loss=1.0), 10, 10)})
    document = alone.document("x")
    assert document.title == "x on val: 9 images"
    assert [column.heading for column in document.tables[0].columns[3:]] == ["top-1", "loss"]
    assert document.notes == ("loss: cross-entropy with the labels, in nats per image.",)


def test_no_rows():
    assert "Scores" in str(Evaluation("digits", 0))


def test_json_round_trip():
    assert Evaluation.from_dict(json.loads(json.dumps(EVALUATION.to_dict()))) == EVALUATION


@pytest.mark.parametrize(
    "data", [None, {}, {"data": "x", "held_out": 0, "rows": {"a": {"score": {"image": 1}}}}]
)
def test_invalid_data(data):
    with pytest.raises(GhostifyError):
        Evaluation.from_dict(data)


def row(**score):
    return EvaluationRow(Score(**{"images": 10, **score}), macs=5, params=3)


ORIGINAL = Evaluation("digits", 10, {"original": row(top1=0.9, loss=0.5)})


def test_earlier_rows_stay():
    found = Evaluation("digits", 10, {"converted": row(top1=0.5)})
    both = found.including(ORIGINAL)
    assert list(both.rows) == ["original", "converted"]
    assert both.including(found) == both


def test_rows_of_later_weights_are_dropped():
    recovered = Evaluation(
        "digits", 10, {"converted": row(top1=0.5), "recovered": row(top1=0.8)}
    ).including(ORIGINAL)
    assert list(recovered.rows) == ["original", "converted", "recovered"]
    again = Evaluation("digits", 10, {"converted": row(top1=0.6)}).including(recovered)
    assert list(again.rows) == ["original", "converted"]
    assert again.rows["converted"].score.top1 == 0.6


@pytest.mark.parametrize(
    "other",
    [
        Evaluation("cifar10", 10, ORIGINAL.rows),
        Evaluation("digits", 20, ORIGINAL.rows),
        Evaluation("digits", 10, {"original": row(images=9)}),
    ],
)
def test_rows_on_other_images_are_dropped(other):
    found = Evaluation("digits", 10, {"converted": row()})
    assert found.including(other) is found


def test_a_bar_for_each_network():
    first, second = EVALUATION.charts()
    assert first[0] == "Top-1 accuracy, original: 95.00%"
    assert second[0] == "Top-1 accuracy, converted: 90.00%"
    assert ET.fromstring(second[1]).find("line").get("x1") == "95"
    assert [r.get("width") for r in ET.fromstring(second[1]).iter("rect")] == ["100", "90"]


def test_no_bars_of_values_without_a_scale():
    row = EvaluationRow(Score(9, mae=0.5), 10, 10)
    assert Evaluation("val", 0, {"original": row}).charts() == ()
    assert Evaluation("val", 0).charts() == ()


def test_agreement_is_shown_for_a_divergence():
    row = EvaluationRow(Score(9, agreement=0.75, kl=0.5), 10, 10)
    ((caption, _),) = Evaluation("val", 0, {"converted": row}).charts()
    assert caption == "Agreement with the original, converted: 75.00%"
