"""Whole networks, folded for inference."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models
from torchvision.ops import StochasticDepth

import ghostify
from ghostify import GhostifyError, GhostModule, GhostSpec
from ghostify.analysis.preserve import eval_mode
from ghostify.deployment.export import capture
from ghostify.types import DeploymentReport, Fidelity, Plan, SeenImages
from ghostify.types.region import Region


def seen_data(model, orders=False):
    """Random statistics, scales and shifts; every tenth channel or so is off."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(-0.3, 1.5)[torch.rand(module.num_features) < 0.1] = 0
            module.bias.data.normal_(0, 0.3)
        if orders and isinstance(module, GhostModule):
            module.order = torch.randperm(module.out_channels)
    return model


def close(found, expected):
    assert found.shape == expected.shape
    assert float((found - expected.detach()).abs().max()) <= 1e-4 * float(
        expected.detach().abs().max()
    )


NETWORKS = ["resnet18", "mobilenet_v2", "densenet121", "shufflenet_v2_x0_5"]
MORE = [
    "resnet50", "vgg16_bn", "mobilenet_v3_large", "efficientnet_b0", "googlenet", "regnet_y_400mf",
    "regnet_x_400mf", "convnext_tiny", "squeezenet1_1", "mnasnet0_5", "inception_v3",
]  # fmt: skip


@pytest.mark.parametrize("orders", [False, True], ids=["ordered", "permuted"])
@pytest.mark.parametrize(
    "name", [*NETWORKS, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE)]
)
def test_it_gives_what_the_network_gave(name, orders):
    keywords = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    side = 96 if name != "inception_v3" else 139
    example = torch.randn(1, 3, side, side)
    model = models.get_model(name, **keywords)
    ghost = seen_data(ghostify.convert(model, example), orders)
    before = {key: value.clone() for key, value in ghost.state_dict().items()}
    form = ghostify.deploy(ghost, example)
    found = DeploymentReport.find(form)
    assert len(found.folded_norms) > len(found.remaining_norms) or name.startswith(
        ("densenet", "convnext", "sq")
    )
    assert ghost.training
    assert not any(module.training for module in form.modules())
    assert all(torch.equal(before[key], value) for key, value in ghost.state_dict().items())
    images = torch.randn(3, 3, side - 11, side + 5)
    with eval_mode(ghost), torch.no_grad():
        expected = ghost(images)
    with torch.no_grad():
        close(form(images), expected)
        close(capture(form, images, any_batch=False).module()(images), expected)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "vgg11_bn"])
def test_narrowed_networks(name, narrowing_plan):
    example = torch.randn(1, 3, 64, 64)
    model = models.get_model(name)
    plan = narrowing_plan(model, example, ghost=GhostSpec(2, 3))
    ghost = seen_data(ghostify.convert(model, example, plan=plan), orders=True).eval()
    form = ghostify.deploy(ghost, example)
    assert DeploymentReport.find(form).folded_orders
    with torch.no_grad():
        close(form(example), ghost(example))


def test_all_norms_of_a_resnet_are_gone():
    example = torch.randn(1, 3, 64, 64)
    ghost = seen_data(ghostify.convert(models.resnet50(), example), orders=True)
    form = ghostify.deploy(ghost, example)
    found = DeploymentReport.find(form)
    assert (len(found.folded_norms), found.remaining_norms) == (53, ())
    assert len(found.folded_orders) == 32  # two of each of 16 blocks
    assert set(found.remaining_orders) == {  # on both sides of a sum
        name for name, m in ghost.named_modules()
        if isinstance(m, GhostModule) and name.endswith(("conv3", "downsample.0"))
    }  # fmt: skip
    assert Plan.find(form) is None
    assert Fidelity.find(form) is None


def test_a_network_that_was_not_converted(small_net, image):
    seen_data(small_net)
    SeenImages.of(["0" * 16]).attach(small_net)
    form = ghostify.deploy(small_net, image)
    assert SeenImages.find(form) == SeenImages.find(small_net)
    assert DeploymentReport.find(form) == DeploymentReport(folded_norms=("norm",))
    close(form(image), small_net.eval()(image))


def test_a_ghost_module_alone():
    ghost = GhostModule(3, 6, 3)
    x = torch.randn(1, 3, 8, 8)
    close(ghostify.deploy(ghost, x)(x), ghost(x))


def test_dropout_of_all_kinds_is_gone():
    net = nn.Sequential(
        nn.Dropout2d(), nn.Conv2d(3, 4, 1), StochasticDepth(0.5, "row"), nn.AlphaDropout()
    )
    form = ghostify.deploy(net, torch.zeros(1, 3, 4, 4))
    assert [type(module) for module in form] == [nn.Identity, nn.Conv2d, nn.Identity, nn.Identity]


def test_what_was_idle_by_chance_stays():
    class Even(nn.Module):
        def forward(self, x):
            return x if x.shape[-1] % 2 == 0 else F.pad(x, (0, 1))

    form = ghostify.deploy(nn.Sequential(Even(), nn.AvgPool2d(2)), torch.zeros(1, 3, 4, 4))
    assert form(torch.zeros(1, 3, 4, 5)).shape[-1] == 3


def test_several_inputs_and_names():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = (GhostModule(3, 8, 3, padding=1) for _ in range(2))
            self.norm_a, self.norm_b = nn.BatchNorm2d(8), nn.BatchNorm2d(8)

        def forward(self, left, *, right):
            return {"sum": self.norm_a(self.a(left)) + self.norm_b(self.b(right)).relu()}

    net = seen_data(Net()).eval()

    class Positional(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, left, right):
            return self.net(left, right=right)["sum"]

    inputs = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    form = ghostify.deploy(Positional(), inputs)
    assert len(DeploymentReport.find(form).folded_norms) == 2
    close(form(*inputs), net(inputs[0], right=inputs[1])["sum"])
    named = {"left": inputs[0], "right": inputs[1]}
    close(ghostify.deploy(net, named)(**named)["sum"], net(**named)["sum"])


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_other_kinds_of_numbers(kind):
    example = torch.randn(1, 3, 32, 32, dtype=kind)
    ghost = ghostify.convert(models.resnet18().to(kind), example)
    form = ghostify.deploy(seen_data(ghost).eval(), example)
    assert form(example).dtype == kind
    assert DeploymentReport.find(form).folded_norms


def test_maps_that_are_viewed_are_left_contiguous():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = GhostModule(3, 8, 3, padding=1)

        def forward(self, x):
            return self.conv(x).view(len(x), 2, -1)

    x = torch.randn(2, 3, 8, 8)
    assert ghostify.deploy(Net(), x)(x).shape == (2, 2, 256)


class TwoNorms(nn.Module):
    """Only the second BatchNorm can be folded: what the first one reads is read elsewhere."""

    def __init__(self, more=lambda net, y: 0):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8)
        self.other, self.second = nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8)
        self.more = more

    def forward(self, x):
        y = self.conv(x)
        return self.norm(y) + self.second(self.other(x)) + self.more(self, y)


IMAGE = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
ONE_FOLDED = DeploymentReport(folded_norms=("second",), remaining_norms=("norm",))


@pytest.mark.parametrize(
    "more",
    [
        lambda net, y: net.norm.eps + net.norm.num_features,  # what Identity lacks
        lambda net, y: net.norm.running_mean.numpy().sum().item(),
        lambda net, y: next(net.norm.parameters()).data_ptr() > 0,
    ],
    ids=["attributes", "numpy", "pointers"],
)
def test_code_that_reads_a_folded_norm_keeps_it(more):
    net = seen_data(TwoNorms(more)).eval()
    form = ghostify.deploy(net, IMAGE)
    assert DeploymentReport.find(form) == ONE_FOLDED
    close(form(IMAGE), net(IMAGE))


OFFERED = "ghostify.deployment.deploy.foldable_norms"


@pytest.mark.parametrize("share", [1.0, 0.01])
def test_a_fold_that_changes_the_outputs_is_put_back(share, monkeypatch):
    """Offered on purpose, as what a run does not show would be."""
    monkeypatch.setattr(OFFERED, lambda model, flow: {"conv": "norm", "other": "second"})
    net = seen_data(TwoNorms(lambda net, y: share * y)).eval()
    form = ghostify.deploy(net, IMAGE)
    assert DeploymentReport.find(form) == ONE_FOLDED
    close(form(IMAGE), net(IMAGE))


def test_a_wrong_fold_of_an_order_is_put_back(monkeypatch):
    """Two Ghost modules; of one, a reader is not known."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = GhostModule(3, 8, 1), GhostModule(3, 8, 1)
            self.reader, self.other = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 1)

        def forward(self, x):
            return self.reader(self.first(x)) + self.other(self.second(x))

    net = seen_data(Net(), orders=True).eval()
    regions = {"first": Region(readers={"reader": 1}), "second": Region()}
    monkeypatch.setattr("ghostify.deployment.deploy.foldable_orders", lambda *_: regions)
    form = ghostify.deploy(net, IMAGE)
    found = DeploymentReport.find(form)
    assert (found.folded_orders, found.remaining_orders) == (("first",), ("second",))
    close(form(IMAGE), net(IMAGE))


@pytest.mark.parametrize(("change", "allowed"), [(5e-5, True), (2e-4, False)])
def test_folds_may_round_but_not_change(change, allowed, monkeypatch):
    class Folded(nn.Sequential):
        def forward(self, x):
            return super().forward(x) * (1 + change * isinstance(self[1], nn.Identity))

    net = seen_data(Folded(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8))).eval()
    form = ghostify.deploy(net, IMAGE)
    assert bool(DeploymentReport.find(form).folded_norms) == allowed


def test_a_network_whose_outputs_always_change():
    class Counted(nn.Module):
        calls = 0

        def forward(self, x):
            Counted.calls += 1
            return x + Counted.calls

    with pytest.raises(GhostifyError, match="Counted cannot be deployed: outputs change by"):
        ghostify.deploy(Counted(), IMAGE)


def test_a_network_that_does_not_run():
    with pytest.raises(GhostifyError, match="does not run"):
        ghostify.deploy(models.resnet18(), torch.zeros(1, 4, 32, 32))


@pytest.mark.slow
def test_a_detector():
    model = models.detection.retinanet_resnet50_fpn(weights=None, weights_backbone=None)
    image = [torch.rand(3, 128, 160)]
    ghost = seen_data(ghostify.convert(model, (image,)), orders=True).eval()
    form = ghostify.deploy(ghost, (image,))
    assert len(DeploymentReport.find(form).folded_norms) == 53
    x = torch.randn(1, 3, 128, 160)
    for expected, found in zip(ghost.backbone(x).values(), form.backbone(x).values(), strict=True):
        close(found, expected)
    assert form(image)[0].keys() == ghost(image)[0].keys()
