from ghostify.report.formats import to_csv, to_text
from ghostify.report.tables.evaluation import list_evaluation
from ghostify.types import Evaluation, EvaluationRow, Score

EVALUATION = Evaluation(
    "digits",
    180,
    {
        "original": EvaluationRow(Score(180, top1=0.95, top5=1.0, loss=0.25), 40_000_000, 270_000),
        "converted": EvaluationRow(
            Score(180, 0.9, 0.99, 0.5, agreement=0.925, kl=0.01234, relative_error=0.05),
            20_000_000,
            140_000,
        ),
    },
)


def test_a_row_for_each_network():
    document = list_evaluation(EVALUATION, model="resnet20")
    assert document.title == "resnet20 on digits: 180 images held out of the training images"
    assert [column.heading for column in document.tables[0].columns] == [
        "network", "MACs", "params", "top-1", "top-5", "loss", "agree", "KL", "error",
    ]  # fmt: skip
    assert document.tables[0].rows == (
        ("original", "40.0M", "270K", "95.00%", "100.00%", "0.25", "-", "-", "-"),
        ("converted", "20.0M", "140K", "90.00%", "99.00%", "0.5", "92.50%", "0.0123", "5.00%"),
    )
    assert max(map(len, to_text(document).splitlines())) <= 80
    assert to_csv(document).splitlines()[1] == "original,40000000,270000,180,0.95,1.0,0.25,,,"


def test_columns_that_say_nothing_are_left_out():
    alone = Evaluation("val", 0, {"original": EvaluationRow(Score(9, top1=0.5, loss=1.0), 10, 10)})
    document = list_evaluation(alone, model="x")
    assert document.title == "x on val: 9 images not trained on"
    assert [column.heading for column in document.tables[0].columns[3:]] == ["top-1", "loss"]
    assert document.notes == ("loss: cross-entropy with the labels, nats an image.",)
