import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import ghostify
from ghostify import GhostifyError
from ghostify.data.loaders import Data
from ghostify.report.evaluate_models import evaluation_row
from ghostify.types import Score

IMAGES = torch.randn(6, 3, 8, 8)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, width, 3, bias=False), nn.Linear(width, 3, bias=False)

    def forward(self, x):
        return self.head(self.conv(x).mean((2, 3)))


@pytest.fixture
def nets():
    return {"original": Net(4), "converted": Net(2)}


def test_scores_and_costs_of_each_network(nets):
    data = Data("x", DataLoader([]), DataLoader(TensorDataset(IMAGES, LABELS), 4), 3, held_out=6)
    original = nets["original"]
    found = ghostify.evaluate_models(nets, data, example=IMAGES[:1], teacher=original)
    assert (found.data, found.held_out, list(found.rows)) == ("x", 6, ["original", "converted"])
    assert found.rows["original"].score == ghostify.evaluate(original, data, teacher=original)
    assert found.rows["original"].score.top1 == ghostify.evaluate(original, data).top1
    assert found.rows["converted"].score == ghostify.evaluate(
        nets["converted"], data, teacher=original
    )
    costs = {name: (row.macs, row.params) for name, row in found.rows.items()}
    assert costs == {
        "original": (36 * 4 * 27 + 12, 4 * 27 + 12),
        "converted": (36 * 2 * 27 + 6, 2 * 27 + 6),
    }


def test_without_labels_the_teacher_agrees_with_itself(nets):
    batches = [IMAGES[:4], IMAGES[4:]]
    found = ghostify.evaluate_models(
        nets,
        batches,
        example=IMAGES[:1],
        teacher=nets["original"],
        outputs="classes",
        progress=False,
    )
    assert found.rows["original"].score == Score(6, agreement=1, kl=0, relative_error=0)
    assert found.rows["converted"].score.kl > 0


def test_a_teacher_outside_has_no_row(nets):
    original = nets.pop("original")
    found = ghostify.evaluate_models(nets, [IMAGES], example=IMAGES[:1], teacher=original)
    assert list(found.rows) == ["converted"]
    assert found.rows["converted"].score.teacher_mae is not None


def test_no_networks():
    with pytest.raises(GhostifyError, match="`models` must hold at least one network"):
        ghostify.evaluate_models({}, [IMAGES], example=IMAGES[:1])


def test_a_known_score_with_its_costs(nets):
    row = evaluation_row(nets["converted"], Score(6, top1=0.5), IMAGES[:1])
    assert (row.score.top1, row.macs, row.params) == (0.5, 36 * 2 * 27 + 6, 2 * 27 + 6)


@pytest.mark.parametrize("broken", [False, True])
def test_networks_are_moved_there_and_back(nets, broken):
    moved = []

    class Watched(Net):
        def to(self, device):
            moved.append((self, str(device)))
            return super().to(device)

        def forward(self, x):
            if broken:
                raise RuntimeError("broken")
            return super().forward(x)

    nets["converted"], teacher = Watched(2), Watched(4)
    data = DataLoader(TensorDataset(IMAGES, LABELS), 4)
    options = {"example": IMAGES[:1], "teacher": teacher, "device": "cpu:0"}
    if broken:
        with pytest.raises((GhostifyError, RuntimeError), match="broken"):
            ghostify.evaluate_models(nets, data, **options)
    else:
        ghostify.evaluate_models(nets, data, **options)
    both = [nets["converted"], teacher]
    assert moved == [*((net, "cpu:0") for net in both), *((net, "cpu") for net in both)]
