"""What users pass as a model or an example by mistake, and what the message tells them to pass."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import fx, nn
from torch.optim.swa_utils import AveragedModel

import ghostify
from ghostify import Artifact, GhostifyError, Plan, models
from ghostify.analysis.arguments import check_model
from ghostify.conversion.redundancy import feature_maps


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return self.conv(x)


class Holder:
    """Holds a network and is none, as the trainers and the EMA classes of some libraries."""

    def __init__(self, name):
        setattr(self, name, Net())


def make_net():
    return Net()


def sharded(base):
    return type("FullyShardedDataParallel", (base,), {})()


WRONG = {
    "state dict": (Net().state_dict(), "is an OrderedDict, such as a state dict: pass a network"),
    "checkpoint": ({"state_dict": {}}, "is a dict, such as a state dict: .* `load_state_dict`"),
    "path": (Path("net.pt"), r"\(='net.pt'\) is a name or a path: pass an nn.Module"),
    "name": ("resnet50", r"\(='resnet50'\) is a name or a path: pass an nn.Module"),
    "class": (Net, r"is the class Net: pass a network, `Net\(\)`"),
    "function": (make_net, r"is the function make_net: pass a network, `make_net\(\)`"),
    "none": (None, "is a NoneType: pass an nn.Module"),
    "list": ([Net()], "is a list: pass an nn.Module"),
    "ema holder": (Holder("ema"), "is a Holder: pass `model.ema`"),
    "trainer": (Holder("model"), "is a Holder: pass `model.model`"),
}
WRAPPED = {
    "compiled": (torch.compile(Net()), "is an OptimizedModule: pass `model._orig_mod`"),
    "compiled inside": (
        nn.Sequential(torch.compile(Net())),
        "`model.0` is compiled: put",
    ),
    "data parallel": (nn.DataParallel(Net()), "is a DataParallel: pass `model.module`"),
    "averaged": (AveragedModel(Net()), "is an AveragedModel: pass `model.module`"),
    "sharded": (nn.Sequential(sharded(Net)), "`model.0` is sharded: pass the network as it was"),
}


@pytest.mark.parametrize("case", WRONG | WRAPPED)
def test_what_to_pass_instead(case):
    model, message = (WRONG | WRAPPED)[case]
    with pytest.raises(GhostifyError, match=message):
        check_model(model)


@pytest.mark.parametrize("version", ["ModelEmaV2", "ModelEmaV3"])
def test_timms_running_means_of_a_network(version):
    utils = pytest.importorskip("timm.utils")
    with pytest.raises(GhostifyError, match=f"`model` is a {version}: pass `model.module`"):
        check_model(getattr(utils, version)(Net()))


@pytest.mark.parametrize("case", WRAPPED)
def test_a_model_that_is_only_run_may_be_wrapped(case):
    check_model(WRAPPED[case][0], wrapped=True)


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_networks_of_every_kind_pass():
    holder = nn.Module()
    holder.module, holder.ema = Net(), Net()
    inside = nn.Sequential(nn.DataParallel(Net()))  # as torchvision's old VGG checkpoints
    for model in (Net(), holder, inside, fx.symbolic_trace(Net()), torch.jit.script(Net())):
        check_model(model)


def test_messages_name_the_argument():
    with pytest.raises(GhostifyError, match=r"^`teacher` is a DataParallel: pass `teacher.module`"):
        check_model(nn.DataParallel(Net()), "teacher")


IMAGE = torch.zeros(1, 3, 8, 8)
STATE = Net().state_dict()
CALLS = {
    "analyze": lambda: ghostify.analyze(STATE, IMAGE),
    "benchmark": lambda: ghostify.benchmark({"net": STATE}, IMAGE),
    "compare": lambda: ghostify.compare(STATE, Net(), IMAGE),
    "compare, converted": lambda: ghostify.compare(Net(), STATE, IMAGE),
    "convert": lambda: ghostify.convert(STATE, IMAGE),
    "deploy": lambda: ghostify.deploy(STATE, IMAGE),
    "evaluate": lambda: ghostify.evaluate(STATE, [IMAGE]),
    "evaluate_models": lambda: ghostify.evaluate_models({"net": STATE}, [IMAGE], example=IMAGE),
    "evaluate, teacher": lambda: ghostify.evaluate(Net(), [IMAGE], teacher=STATE),
    "export": lambda: ghostify.export(STATE, IMAGE, "net.onnx"),
    "feature maps": lambda: feature_maps(STATE, IMAGE, "conv"),
    "layer_latency": lambda: ghostify.layer_latency(STATE, IMAGE, runtime="eager"),
    "load": lambda: ghostify.load("folder", STATE),
    "plan": lambda: ghostify.plan(STATE, IMAGE),
    "recalibrate": lambda: ghostify.recalibrate(STATE, [IMAGE]),
    "recover, teacher": lambda: ghostify.recover(STATE, Net(), [IMAGE]),
    "recover, student": lambda: ghostify.recover(Net(), STATE, [IMAGE]),
    "recover in stages": lambda: ghostify.recover(Net(), STATE, [IMAGE], stages=2),
    "redundancy": lambda: ghostify.redundancy(STATE, IMAGE),
    "reparameterize": lambda: ghostify.reparameterize(STATE),
    "save": lambda: ghostify.save(STATE, "folder"),
    "search": lambda: ghostify.search(STATE, IMAGE, budget="macs=0.5", calibration=IMAGE),
    "sensitivity": lambda: ghostify.sensitivity(STATE, IMAGE),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_function_checks_its_model(call):
    with pytest.raises(GhostifyError, match="such as a state dict: pass a network"):
        CALLS[call]()


def lazy_net():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.LazyConv2d(8, 3), nn.Flatten(), nn.LazyLinear(2))


LAZY = lazy_net()
WITHOUT_AN_EXAMPLE = {
    "artifact": ("original.1", lambda: Artifact("folder", LAZY)),
    "benchmark": ("models['net'].1", lambda: ghostify.benchmark({"net": LAZY}, IMAGE)),
    "convert": ("model.1", lambda: ghostify.convert(LAZY, plan=Plan(()))),
    "evaluate": ("model.1", lambda: ghostify.evaluate(LAZY, [IMAGE])),
    "load": ("model.1", lambda: ghostify.load("folder", LAZY)),
    "load_weights": ("model.1", lambda: models.load_weights(LAZY, "weights.pth")),
    "recalibrate": ("model.1", lambda: ghostify.recalibrate(LAZY, [IMAGE])),
    "recover": ("teacher.1", lambda: ghostify.recover(LAZY, Net(), [IMAGE])),
    "reparameterize": ("model.1", lambda: ghostify.reparameterize(LAZY)),
    "save": ("model.1", lambda: ghostify.save(LAZY, "folder")),
}


@pytest.mark.parametrize("call", WITHOUT_AN_EXAMPLE)
def test_without_an_example_lazy_modules_are_refused(call):
    path, function = WITHOUT_AN_EXAMPLE[call]
    with pytest.raises(GhostifyError, match=re.escape(f"`{path}` is lazy: run `")):
        function()


WITH_AN_EXAMPLE = {
    "analyze": lambda: ghostify.analyze(LAZY, IMAGE),
    "compare": lambda: ghostify.compare(LAZY, ghostify.convert(LAZY, IMAGE), IMAGE),
    "convert": lambda: ghostify.convert(LAZY, IMAGE, calibration=IMAGE.expand(16, -1, -1, -1)),
    "deploy": lambda: ghostify.deploy(LAZY, IMAGE),
    "feature maps": lambda: feature_maps(LAZY, IMAGE, "0"),
    "plan": lambda: ghostify.plan(LAZY, IMAGE, budget="macs=0.8"),
    "redundancy": lambda: ghostify.redundancy(LAZY, torch.rand(2, 3, 8, 8), pairs=1),
    "sensitivity": lambda: ghostify.sensitivity(LAZY, IMAGE),
}


@pytest.mark.parametrize("call", WITH_AN_EXAMPLE)
@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_an_example_initializes_lazy_modules_in_a_copy(call):
    WITH_AN_EXAMPLE[call]()
    assert isinstance(LAZY[1], nn.LazyConv2d)


def test_evaluate_runs_wrapped_models():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4)).eval()
    batches = [(IMAGE, torch.tensor([1]))]
    plain = ghostify.evaluate(model, batches, progress=False)
    assert ghostify.evaluate(nn.DataParallel(model), batches, progress=False) == plain


def test_a_model_in_place_of_the_models_to_time():
    with pytest.raises(GhostifyError, match="`models` is a Net: pass a dict"):
        ghostify.benchmark(Net(), IMAGE)


TELLS = "pass a tensor, a tuple of positional inputs, or a dict of keyword inputs"


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        ([IMAGE], "`example` is a list, which is one argument of the model"),
        (None, "`example` holds no tensor"),
        ((1, 3, 8, 8), "`example` holds no tensor"),
        (np.zeros((1, 3, 8, 8)), "`example` holds no tensor"),
    ],
)
def test_an_example_of_the_wrong_kind(example, reason):
    with pytest.raises(GhostifyError, match=f"{reason}: {TELLS}"):
        ghostify.analyze(Net(), example)


def test_an_example_of_the_wrong_shape_gets_no_such_hint():
    with pytest.raises(GhostifyError) as error:
        ghostify.analyze(Net(), IMAGE[:, :2])
    assert "`example`" not in str(error.value)
