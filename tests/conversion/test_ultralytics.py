"""Ultralytics' ``fuse`` on a converted network; its classes are rebuilt here as far as it goes."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import ghostify
from ghostify import GhostModule


class Conv(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.act = nn.SiLU()

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))

    def forward_fuse(self, x):
        return self.act(self.conv(x))


class BaseModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(Conv(3, 8), Conv(8, 8), Conv(8, 8))

    def forward(self, x):
        return self.model(x)

    def fuse(self, verbose=True):
        assert not verbose
        for module in self.modules():
            if isinstance(module, Conv) and hasattr(module, "bn"):
                module.conv = fuse_conv_bn_eval(module.conv, module.bn)
                del module.bn
                module.forward = module.forward_fuse
        return self


BaseModel.__module__ = "ultralytics.nn.tasks"


class DetectionModel(BaseModel):
    pass


IMAGE = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def net():
    net = DetectionModel()
    for _ in range(3):
        net(torch.rand(8, 3, 8, 8))
    return net.eval()


def converted(net, folder):
    return ghostify.convert(net, IMAGE)


def loaded(net, folder):
    return ghostify.load(ghostify.save(converted(net, folder), folder / "out"), net)


def in_another(net, folder):
    return ghostify.convert(nn.Sequential(net), IMAGE)[0]


def copied(net, folder):
    return copy.deepcopy(converted(net, folder))


def twice(net, folder):
    ghost = ghostify.convert(net, IMAGE, include="model.1*")
    return ghostify.convert(ghost, IMAGE, include="model.2*")


@pytest.mark.parametrize("make", [converted, loaded, in_another, copied, twice])
def test_fuse_folds_what_is_no_ghost_module(net, make, tmp_path):
    ghost = make(net, tmp_path)
    before, names = ghost(IMAGE), list(ghost.state_dict())
    assert ghost.fuse(verbose=False) is ghost
    torch.testing.assert_close(ghost(IMAGE), before)
    blocks = {name: hasattr(block, "bn") for name, block in ghost.model.named_children()}
    assert blocks == {"0": False, "1": True, "2": True}
    assert all(isinstance(ghost.model[i].conv, GhostModule) for i in (1, 2))
    kept = [name for name in names if not name.startswith("model.0")]
    assert [name for name in ghost.state_dict() if not name.startswith("model.0")] == kept


def test_fuse_of_the_original_stays(net):
    ghostify.convert(net, IMAGE)
    assert "fuse" not in vars(net)
    assert not any(hasattr(block, "bn") for block in net.fuse(verbose=False).model)


def test_an_error_of_fuse_leaves_the_norms(net):
    ghost = ghostify.convert(net, IMAGE)
    with pytest.raises(AssertionError):
        ghost.fuse(verbose=True)
    assert all(hasattr(block, "bn") for block in ghost.model)


def test_other_networks_are_left_alone():
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3))
    plain.fuse = None
    assert ghostify.convert(plain, IMAGE).fuse is None
