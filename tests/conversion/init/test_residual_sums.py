"""Last terms of residual sums, and the errors that they correct."""

import pytest
import torch
from torch import nn
from torchvision.models import get_model

import ghostify
from ghostify.analysis.dataflow import trace_dataflow
from ghostify.conversion.init.residual_sums import ResidualSums, inverse_scale, last_terms
from ghostify.planning import plan_sites


def terms(model, *inputs):
    return last_terms(trace_dataflow(model.eval(), inputs))


def test_last_terms_of_torchvision_networks():
    image = torch.zeros(1, 3, 64, 64)
    found = terms(get_model("resnet50"), image)
    blocks = [(stage, block) for stage, n in enumerate((3, 4, 6, 3), 1) for block in range(n)]
    assert found == {
        f"layer{stage}.{block}.{'conv3' if block else 'downsample.0'}" for stage, block in blocks
    }
    inverted = terms(get_model("mobilenet_v2"), image)
    assert inverted == {f"features.{n}.conv.2" for n in (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)}
    assert terms(get_model("densenet121"), image) == frozenset()
    assert terms(get_model("vgg11_bn"), image) == frozenset()


class Block(nn.Module):
    def __init__(self, ending):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.later = nn.Conv2d(4, 4, 1)
        self.ending = ending

    def forward(self, x):
        return self.ending(self, x)


def in_place(block, x):
    y = block.norm(block.conv(x))
    y += x
    return y.relu()


def read_by_another(block, x):
    y = block.norm(block.conv(x))
    return (y + x) * y


def returned_too(block, x):
    y = block.conv(x)
    return y + x, y


def called_twice(block, x):
    return block.conv(block.conv(x) + x) + x


def activated_first(block, x):
    return block.conv(x).relu() + x


def spread_out(block, x):
    return block.conv(x) + x.mean((2, 3), keepdim=True)


def scaled(block, x):
    return torch.add(block.conv(x), x, alpha=0.5)


def before_another(block, x):
    y = block.conv(x)
    return y + block.later(x)


@pytest.mark.parametrize(
    ("ending", "found"),
    [
        (in_place, {"conv"}),
        (lambda block, x: x.add(block.conv(x)), {"conv"}),
        (lambda block, x: torch.add(x, block.norm(block.conv(x))), {"conv"}),
        (before_another, {"later"}),
        (read_by_another, set()),
        (returned_too, set()),
        (called_twice, set()),
        (activated_first, set()),
        (spread_out, set()),
        (scaled, set()),
    ],
)
def test_only_where_nothing_but_the_sum_depends_on_it(ending, found):
    assert terms(Block(ending), torch.randn(2, 4, 5, 5)) == found


def test_outputs_are_followed_through_a_batch_norm():
    block, x, seen = Block(in_place).eval(), torch.randn(2, 4, 5, 5), []
    block.norm.running_mean.normal_()

    def at_sum(term, other):
        seen.append((other, term.normalize(output), term.feature_maps.clone()))

    with torch.no_grad(), ResidualSums() as sums:
        output = block.conv(x)
        sums.follow(output, at_sum)
        y = block.norm(output)
        y += x
    ((other, normalized, feature_maps),) = seen
    assert other is x
    torch.testing.assert_close(normalized, feature_maps)


def test_inverse_scale_undoes_the_norm():
    norm = nn.BatchNorm2d(4).eval()
    norm.running_var.copy_(torch.tensor([0.25, 4, 1, 1]))
    norm.weight.data.copy_(torch.tensor([1, -3, 0, 1e-9]))
    expected = torch.tensor([0.5, -2 / 3, 0, 0])
    torch.testing.assert_close(inverse_scale(norm, 4), expected, rtol=1e-4, atol=0)
    assert torch.equal(inverse_scale(None, 3), torch.ones(3))


class Residual(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.wide = nn.Conv2d(6, 60, 3, padding=1)
        self.back = nn.Conv2d(60, 6, 1)
        self.norm = norm

    def forward(self, x):
        return x + self.norm(self.back(self.wide(x)))


@pytest.mark.parametrize("norm", [nn.Identity, lambda: nn.BatchNorm2d(6)])
def test_the_last_term_corrects_the_other(norm):
    """Three filters and mixtures of them: no ghosts of one filter, but nothing is lost."""
    torch.manual_seed(0)
    first = nn.Conv2d(3, 6, 3, padding=1)
    with torch.no_grad():
        first.weight[3:] = (torch.randn(3, 3) @ first.weight[:3].flatten(1)).view(3, 3, 3, 3)
    model = nn.Sequential(first, Residual(norm()), nn.Flatten(), nn.Linear(6 * 64, 5))
    images = torch.randn(128, 3, 8, 8)
    with torch.no_grad():
        for _ in range(30):
            model.train()(images)
    model.eval()
    sites = ghostify.analyze(model, images[:1])
    plan = plan_sites(sites, dw_size=1, include=["0"], stem=True, all_eligible=True)
    converted = ghostify.convert(model, images[:1], plan=plan, calibration=images)
    with torch.no_grad():
        start = (converted[0](images) - model[0](images)).norm()
        end = (converted[:2](images) - model[:2](images)).norm()
    assert start > 10
    assert end < 0.1 * start
