"""Importance of feature maps against the Fisher information written out."""

import pytest
import torch
from torch import nn

from ghostify.conversion.init import fisher
from ghostify.conversion.init.fisher import relative_importance
from ghostify.evaluation.divergence import divergence, logits_of
from ghostify.types import Output, Outputs

CLASSES = Outputs((Output("classes", "", 5),))


def fisher_importance(model, batches, names, outputs=CLASSES):
    return fisher.fisher_importance(model, batches, names, outputs)


def information(jacobian, logits):
    """diag(J^T (diag p - p p^T) J) for ``jacobian`` (classes, ...)."""
    p = logits.softmax(0)
    flat = jacobian.flatten(1)
    return (flat.T @ (p.diag() - p[:, None] * p) @ flat).diagonal().view(jacobian.shape[1:])


def test_a_linear_softmax_model():
    """Importance is the sum over positions and the mean over images."""
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Flatten(), nn.Linear(12, 5)).eval()
    images = torch.randn(2, 2, 2, 2)
    many = images.repeat(1500, 1, 1, 1)
    found = fisher_importance(model, [many], ["0"])["0"]
    jacobian = model[2].weight.detach().view(5, 3, 4)
    logits = model(images).detach()
    expected = sum(information(jacobian, one).sum(1) for one in logits) / 2
    assert found.tolist() == pytest.approx(expected.tolist(), rel=0.1)


HEADS = {
    "classes": (nn.Flatten(), nn.Linear(12, 5)),
    "multilabel": (nn.Flatten(), nn.Linear(12, 5)),
    "class probabilities": (nn.Flatten(), nn.Linear(12, 5), nn.Softmax(1)),
    "multilabel probabilities": (nn.Flatten(), nn.Linear(12, 5), nn.Sigmoid()),
    "classes of pixels": (nn.Conv2d(3, 5, 1),),
}


@torch.no_grad()
@pytest.mark.parametrize("name", HEADS)
def test_it_predicts_the_divergence_that_an_error_causes(name):
    model = nn.Sequential(nn.Conv2d(2, 3, 1), *HEADS[name]).eval().double()
    kind = "multilabel" if "label" in name else "classes"
    output = Output(kind, "", 5, dense="pixels" in name, probabilities="probabilities" in name)
    image = torch.randn(1, 2, 2, 2).double()
    batches = [image.repeat(2000, 1, 1, 1)]
    counts = fisher_importance(model, batches, ["0"], Outputs((output,)))["0"]
    maps, taught = model[0](image), logits_of(model(image), output)
    errors = torch.randn(4000, 3, 2, 2).double() * torch.tensor([1, 2, 3]).view(3, 1, 1) / 100
    found = logits_of(model[1:](maps + errors), output)
    caused = divergence(found, taught.expand_as(found), kind).mean()
    predicted = (counts * errors.square().mean((0, 2, 3))).sum() / 2
    assert float(predicted) == pytest.approx(float(caused), rel=0.1)


def test_an_image_whose_values_are_near_0_counts_no_more_than_others():
    """Importance is that of the squared error over the mean squared norm of all images."""
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Flatten()).eval()
    model[0].weight.data.fill_(1)
    images = torch.tensor([1e-6, 2.0]).view(2, 1, 1, 1).repeat(8, 1, 1, 1)
    many = images.repeat(100, 1, 1, 1)
    found = fisher_importance(model, [many], ["0"], Outputs((Output("values", ""),)))["0"]
    assert found.tolist() == pytest.approx([1 / 2], rel=0.1)  # (0 + 4) / 2


def test_a_feature_map_without_readers_has_no_importance():
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Flatten(), nn.Linear(12, 5)).eval()
    with torch.no_grad():
        model[2].weight.view(5, 3, 4)[:, 1] = 0
    found = fisher_importance(model, [torch.randn(4, 2, 2, 2)], ["0"])["0"]
    assert (found > 0).tolist() == [True, False, True]


def test_frozen_parameters_and_no_gradient_left():
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Conv2d(3, 4, 1), nn.Flatten()).eval()
    model.requires_grad_(False)
    found = fisher_importance(model, [torch.randn(3, 2, 2, 2)], ["0", "1"], Outputs())
    assert [len(found[name]) for name in ("0", "1")] == [3, 4]
    assert all(p.grad is None and not p.requires_grad for p in model.parameters())
    assert not model[0]._forward_hooks


def test_several_calls_and_several_outputs_add_up():
    shared = nn.Conv2d(2, 2, 1)

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared = shared

        def forward(self, x):
            return {"a": self.shared(x), "b": [self.shared(x)]}

    model, images = Twice().eval(), torch.randn(1, 2, 3, 3).repeat(2000, 1, 1, 1)
    found = fisher_importance(model, [images], ["shared"], Outputs())["shared"]
    # Of each output y, the gradient is noise over |y|: 9 positions of variance 1 / |y|^2, twice.
    norm = shared(images[:1]).square().sum().item()
    assert found.tolist() == pytest.approx([18 / norm] * 2, rel=0.1)


def test_a_layer_without_gradient_is_missing():
    class Detached(nn.Sequential):
        def forward(self, x):
            return self[1](self[0](x).detach())

    model = Detached(nn.Conv2d(2, 3, 1), nn.Conv2d(3, 4, 1)).eval()
    assert set(fisher_importance(model, [torch.randn(2, 2, 3, 3)], ["0", "1"], Outputs())) == {"1"}


def test_the_global_generator_does_not_matter():
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Flatten()).eval()
    images = torch.randn(2, 2, 2, 2)
    first = fisher_importance(model, [images], ["0"])["0"]
    torch.randn(3)
    state = torch.get_rng_state()
    assert torch.equal(fisher_importance(model, [images], ["0"])["0"], first)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_floor_below_the_mean():
    assert relative_importance(torch.tensor([0.0, 4.0])).tolist() == pytest.approx([0.001, 2.001])
    assert relative_importance(torch.zeros(2)).tolist() == [1, 1]


def test_feature_maps_written_to_in_place():
    """A ReLU in place makes no difference."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 5)
    ).requires_grad_(False)
    images = [torch.randn(3, 3, 8, 8)]
    expected = fisher_importance(model, images, ["0", "2"])
    for place in (1, 3):
        model[place].inplace = True
    found = fisher_importance(model, images, ["0", "2"])
    assert all(torch.equal(found[name], expected[name]) for name in ("0", "2"))
