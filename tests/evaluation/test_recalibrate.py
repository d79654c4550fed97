import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader

import ghostify
from ghostify import GhostifyError, Plan, recalibrate
from ghostify.data.tensors import TensorImages
from ghostify.types import SeenImages


def net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.BatchNorm2d(4)
    )


def loader(batches=4, size=6):
    return [torch.randn(size, 3, 8, 8) * 2 + 1 for _ in range(batches)]


def test_agrees_with_update_bn():
    model, data = net(), loader()
    found = recalibrate(model, data)
    update_bn(data, model)
    for name, tensor in model.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name


def test_the_images_are_remembered():
    images = DataLoader(TensorImages(torch.cat(loader())), 8)
    known = list(SeenImages.find(recalibrate(net(), images)))
    assert len(known) == 24


def test_a_narrowed_network(narrowing_plan):
    model, data = net(), loader()
    plan = narrowing_plan(model, data[0])
    narrowed = ghostify.convert(model, plan=plan)
    whole, found = (recalibrate(network, data) for network in (model, narrowed))
    kept = list(plan.kept_channels["1"])
    torch.testing.assert_close(found[1].running_mean, whole[1].running_mean[kept])
    torch.testing.assert_close(found[1].running_var, whole[1].running_var[kept])
    assert Plan.of(found) == plan


def test_by_hand():
    """Two batches of means 0 and 4 and unbiased variances 2 and 6: their averages."""
    model = nn.Sequential(nn.BatchNorm1d(1))
    data = [torch.tensor([[-1.0], [1.0]]), torch.tensor([[4 - 3**0.5], [4 + 3**0.5]])]
    found = recalibrate(model, [(x, torch.zeros(2).long()) for x in data])
    assert float(found[0].running_mean) == pytest.approx(2)
    assert float(found[0].running_var) == pytest.approx(4)


def test_dropout_is_off():
    """With nothing dropped a constant has no variance."""
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(1))
    found = recalibrate(model, [torch.ones(64, 1)])
    assert float(found[1].running_var) == 0


def test_the_model_is_unchanged_and_the_copy_in_evaluation_mode():
    model = net().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = recalibrate(model, loader())
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    assert model.training
    assert not any(module.training for module in found.modules())
    assert found[1].momentum == 0.1
    assert found[0].weight is not model[0].weight


def test_an_unused_norm_keeps_its_statistics():
    class Aside(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
            self.unused.running_mean.fill_(7)

        def forward(self, x):
            return self.used(x)

    found = recalibrate(Aside(), loader())
    assert found.unused.running_mean.tolist() == [7] * 3
    assert found.used.running_mean.mean() == pytest.approx(1, abs=0.2)


def test_a_limit_of_batches():
    data, seen = loader(4), []
    found = recalibrate(net(), data, batches=2, progress=seen.append)
    assert [(step.done, step.total) for step in seen] == [(1, 2), (2, 2)]
    assert int(found[1].num_batches_tracked) == 2


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3)), loader(), "Sequential has no BatchNorm with running"),
        (nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)), loader(), "no BatchNorm"),
        (net(), [], "at least one image"),
        (nn.Sequential(nn.BatchNorm1d(1)), [torch.ones(1, 1)], "more than 1 value per channel"),
        (net(), [torch.randn(2, 3, 8, 8) * 1e30], "statistics of 1 are not finite"),
    ],
)
def test_unusable_models_and_data(model, data, message):
    with pytest.raises(GhostifyError, match=message):
        recalibrate(model, data)


def test_no_batches():
    with pytest.raises(GhostifyError, match="`batches` .=0. must be at least 1"):
        recalibrate(net(), loader(), batches=0)
