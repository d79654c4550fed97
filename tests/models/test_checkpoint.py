"""What trainers write is loaded, or refused with its reason."""

import argparse
import collections
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ghostify import GhostifyError, models


class Block(nn.Module):
    def __init__(self, convolution):
        super().__init__()
        self.conv = convolution
        self.bn = nn.BatchNorm2d(4)


def make():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


@pytest.fixture
def net():
    return make()


@pytest.fixture
def state():
    torch.manual_seed(7)
    return make().state_dict()


@pytest.fixture
def mean():
    """Averaged weights."""
    torch.manual_seed(8)
    return make().state_dict()


def prefixed(state, prefix):
    return {prefix + name: tensor for name, tensor in state.items()}


def inside(state, wrapper):
    """Names of a network of which a layer is wrapped."""
    return {name.replace("0.", f"0.{wrapper}."): tensor for name, tensor in state.items()}


def parameters_of(state):
    return {name: tensor for name, tensor in state.items() if name.endswith(("weight", "bias"))}


def module_of(state):
    """A module of another class around the network, which is pickled as it is."""
    network = make()
    network.load_state_dict(state)
    return nn.ModuleDict({"backbone": nn.ModuleList([network])})


def assert_loaded(net, state):
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())


def load(net, content, path, **options):
    torch.save(content, path / "w.pt")
    return models.load_weights(net, path / "w.pt", **options)


def refused(net, content, path, message, **options):
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(GhostifyError, match=message) as caught:
        load(net, content, path, **options)
    assert "\n" not in str(caught.value)
    assert_loaded(net, before)


def test_safetensors_whatever_the_suffix(net, state, tmp_path):
    for name in ("w.safetensors", "pytorch_model.bin"):
        save_file(prefixed(state, "model."), tmp_path / name)
        assert str(models.load_weights(net, tmp_path / name)) == "7 tensors loaded"
        assert_loaded(net, state)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": prefixed(s, "module.")},
        lambda s: {"model": {"state_dict": prefixed(s, "_orig_mod.module.")}},
        lambda s: {"state_dict": prefixed(s, "model.")},
        lambda s: {"weights_of_mine": {"the": prefixed(s, "net.of.mine.")}},
        lambda s: {"state_dict": prefixed(s, "backbone.") | {"head.weight": torch.ones(2, 4)}},
        lambda s: {"state_dict": inside(s, "_orig_mod")},
        lambda s: inside(s, "_fsdp_wrapped_module._checkpoint_wrapped_module"),
        lambda s: {"a": {"student": s, "optimizer": {"state": {0: {"exp_avg": s["0.weight"]}}}}},
        module_of,
        lambda s: {"model": module_of(s).half().float(), "optimizer": None},
    ],
)
def test_checkpoints_and_their_nests(net, state, tmp_path, wrap):
    if wrap is module_of:
        assert load(net, wrap(state), tmp_path).nest == "backbone.0"
    assert str(load(net, wrap(state), tmp_path)) == "7 tensors loaded"
    if "half" not in wrap.__code__.co_names:
        assert_loaded(net, state)


def test_a_network_around_the_one_in_the_file(net, state, tmp_path):
    around = nn.ModuleDict({"normalized": nn.ModuleDict({"net": net})})
    assert str(load(around, {"state_dict": state}, tmp_path)) == "7 tensors loaded"
    assert_loaded(net, state)


def test_a_compiled_network(net, state, tmp_path):
    load(nn.ModuleDict({"_orig_mod": net}), {"model": state}, tmp_path)
    assert_loaded(net, state)


def test_a_name_of_the_network_is_no_prefix(tmp_path):
    net = nn.ModuleDict({"model": nn.Linear(2, 2)})
    assert str(load(net, net.state_dict(), tmp_path)) == "2 tensors loaded"


def test_the_nest_that_holds_most(net, state, mean, tmp_path):
    content = {"a": {"0.bias": mean["0.bias"]}, "b": state, "c": {"1.weight": mean["1.weight"]}}
    found = load(net, content, tmp_path)
    assert_loaded(net, state)
    assert (found.nest, found.passed_over) == ("b", ())


@pytest.mark.parametrize(
    ("raw", "averaged"),
    [
        ("state_dict", "state_dict_ema"),
        ("model", "model_ema"),
        ("model", "ema"),
        ("params", "params_ema"),
        ("model", "swa_model"),
        ("net", "averaged"),
        ("model", "modelEma"),
    ],
)
def test_averaged_weights_go_before_raw_ones(net, state, mean, tmp_path, raw, averaged):
    found = load(net, {raw: state, averaged: mean}, tmp_path)
    assert str(found) == f"7 tensors of {averaged} loaded, not those of {raw}"
    assert_loaded(net, mean)


def test_averaged_weights_as_trainers_nest_them(net, state, mean, tmp_path):
    torchvision = prefixed(mean, "module.") | {"n_averaged": torch.tensor(3)}
    found = load(net, {"model": state, "model_ema": torchvision}, tmp_path)
    assert found.nest == "model_ema.module"
    assert_loaded(net, mean)
    lightning = {"state_dict": prefixed(state, "net.") | prefixed(mean, "net_ema.module.")}
    assert load(make(), lightning, tmp_path).nest == "state_dict.net_ema.module"
    ultralytics = {"model": module_of(state), "ema": module_of(mean).half()}
    assert load(net, ultralytics, tmp_path).nest == "ema.backbone.0"
    assert torch.equal(net[0].weight, mean["0.weight"].half().float())


def test_what_a_mean_lacks_is_that_of_the_raw_weights(net, state, mean, tmp_path):
    """Many trainers average parameters alone."""
    found = load(net, {"model": state, "ema": {"shadow": parameters_of(mean)}}, tmp_path)
    assert_loaded(net, state | parameters_of(mean))
    assert str(found) == "7 tensors of ema.shadow loaded, not those of model"


def test_a_name_with_ema_in_it_is_no_mean(net, state, mean, tmp_path):
    assert load(net, {"model": state, "schema": mean}, tmp_path).nest == "model"
    assert load(net, {"model": state, "ema": {"0.bias": mean["0.bias"]}}, tmp_path).nest == "model"
    assert_loaded(net, state)


def test_mmengine_keeps_the_raw_weights_as_ema(net, state, mean, tmp_path):
    content = {"state_dict": mean, "ema_state_dict": prefixed(state, "module."), "message_hub": {}}
    load(net, content, tmp_path)
    assert_loaded(net, mean)
    load(net, {"state_dict": state, "ema_state_dict": prefixed(mean, "module.")}, tmp_path)
    assert_loaded(net, mean)


def test_equal_nests_are_named(net, state, mean, tmp_path):
    found = load(net, {"student": state, "teacher": mean}, tmp_path)
    assert str(found) == "7 tensors of student loaded, not those of teacher"


def test_objects_beside_the_tensors(net, state, tmp_path):
    """Arguments, paths and random states of trainers; their classes are never looked up."""
    content = {
        "state_dict": state,
        "args": argparse.Namespace(data=Path("x"), amp=True),
        "best": np.float64(0.5),
        "random": np.random.get_state(),
        "history": collections.defaultdict(list, {"loss": [1.0]}),
        "last": collections.deque([1, 2], maxlen=3),
        "callback": Bomb(),
        "function": explode,
    }
    assert str(load(net, content, tmp_path)) == "7 tensors loaded"
    assert_loaded(net, state)


def test_what_does_not_fit_is_said(net, state, tmp_path):
    del state["0.bias"]
    state["1.weight"] = torch.zeros(5)
    state |= {f"head.{i}": torch.zeros(1) for i in range(5)}
    assert str(load(net, state, tmp_path, partial=True)) == (
        "5 tensors loaded; 1 missing (0.bias); "
        "5 unexpected (head.0, head.1, head.2 and 2 more); 1 skipped: wrong shape (1.weight)"
    )


@pytest.mark.parametrize(
    ("classifier", "shapes"),
    [
        (lambda classes: nn.Linear(4, classes), "1.weight is 3x4 instead of 2x4"),
        (lambda classes: nn.Conv2d(4, classes, 1), "1.weight is 3x4x1x1 instead of 2x4x1x1"),
    ],
)
def test_a_classifier_of_other_classes(tmp_path, classifier, shapes):
    network = nn.Sequential(make(), classifier(2))
    other = nn.Sequential(make(), classifier(3)).state_dict()
    refused(
        network, other, tmp_path,
        f"has 7 of the 9 .*: {shapes}, 1.bias is 3 instead of 2. Build the network for 3 classes, "
        "such as with `num_classes=3`, or pass `partial=True` to load what fits",
    )  # fmt: skip
    assert str(load(network, other, tmp_path, partial=True)) == (
        "7 tensors loaded; 2 skipped: wrong shape (1.weight, 1.bias)"
    )


@pytest.mark.parametrize(
    "change", [{"0.bias": None}, {"1.weight": torch.zeros(3, 5)}, {"1.bias": torch.zeros(4)}]
)
def test_what_more_than_the_classes_differs_in(tmp_path, change):
    network = nn.Sequential(make()[0], nn.Linear(4, 2))
    other = nn.Sequential(make()[0], nn.Linear(4, 3)).state_dict()
    refused(network, part(other, change), tmp_path, "Build the network that it is for, or pass")


def part(state, change):
    changed = {name: change.get(name, tensor) for name, tensor in state.items()}
    return {name: tensor for name, tensor in changed.items() if tensor is not None}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"0.weight": torch.zeros(2, 3, 3, 3)},
            "6 of the 7 .*0.weight is 2x3x3x3 instead of 4x3x3x3",
        ),
        ({"0.weight": None}, "has 6 of the 7 tensors of Sequential: it lacks 0.weight. Build"),
        ({"0.bias": None, "1.weight": None, "1.bias": None}, "lacks 0.bias, 1.weight, 1.bias. "),
        ({"1.running_mean": None}, "lacks 1.running_mean"),
    ],
)
def test_a_part_of_the_network_is_refused_unless_asked_for(net, state, tmp_path, change, message):
    content = part(state, change)
    refused(net, content, tmp_path, message)
    assert len(load(net, content, tmp_path, partial=True).loaded) == 7 - len(change)


def test_counts_that_old_versions_lack(net, state, tmp_path):
    """PyTorch before 0.4.1 counted no batches."""
    found = load(net, part(state, {"1.num_batches_tracked": None}), tmp_path)
    assert str(found) == "6 tensors loaded; 1 missing (1.num_batches_tracked)"


def test_norms_of_both_names(tmp_path):
    """Authors' ``.bn.`` is timm's ``.bn1.``, unless the network has both."""
    both = nn.ModuleDict({"a": nn.ModuleDict({"bn1": nn.BatchNorm2d(4), "bn": nn.BatchNorm2d(4)})})
    state = {name: torch.rand_like(t, dtype=torch.float32) for name, t in both.state_dict().items()}
    assert len(load(both, state, tmp_path).loaded) == 10
    assert torch.equal(both["a"]["bn"].weight, state["a.bn.weight"])
    assert torch.equal(both["a"]["bn1"].weight, state["a.bn1.weight"])


def test_a_deeper_network_is_refused(tmp_path):
    """All tensors of a ResNet-18 are in a ResNet-34."""
    network = nn.ModuleDict({"layer": nn.Sequential(nn.Conv2d(3, 4, 3))})
    deeper = nn.ModuleDict({"layer": nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))})
    state = deeper.state_dict()
    refused(network, state, tmp_path, r"it has more layers \(layer.1.weight\)")
    assert len(load(network, state, tmp_path, partial=True).loaded) == 2
    beside = network.state_dict() | {"auxiliary.weight": torch.zeros(4, 4, 3, 3)}
    assert load(network, beside, tmp_path).unexpected == ("auxiliary.weight",)


def test_values_count_not_tensors(tmp_path):
    """A network of linear layers may lack some, but not most of its values."""
    network = nn.Sequential(nn.Linear(50, 50), nn.Linear(2, 2), nn.Linear(2, 2))
    state = network.state_dict()
    refused(network, part(state, {"0.weight": None}), tmp_path, "most values do not fit")
    assert len(load(network, part(state, {"1.weight": None}), tmp_path).loaded) == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t * torch.nan, "w.pt: 0.weight holds NaN or infinite values"),
        (lambda t: t.double() * 1e300, "0.weight holds NaN or infinite"),
        (lambda t: t.to(torch.int8), "w.pt: 0.weight holds int8, but the network takes float32"),
        (lambda t: t > 0, "holds bool"),
        (lambda t: t.to(torch.complex64), "holds complex64"),
        (lambda t: t.to_sparse(), "w.pt: state_dict.0.weight is sparse"),
        (lambda t: t.to("meta"), "0.weight is without values"),
        (lambda t: torch.nested.nested_tensor([t[0], t[1, :1]]), "0.weight is nested"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "0.weight is quantized"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_values_that_no_network_has(net, state, tmp_path, change, message):
    content = {"state_dict": state | {"0.weight": change(state["0.weight"])}}
    refused(net, content, tmp_path, message, partial=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.float8_e4m3fn])
def test_floating_point_of_other_widths(net, state, tmp_path, dtype):
    load(net, {n: t.to(dtype) if t.is_floating_point() else t for n, t in state.items()}, tmp_path)
    assert_loaded(net, {name: t.to(dtype).to(t.dtype) for name, t in state.items()})


def test_masks_of_the_network_may_be_infinite(net, state, tmp_path):
    net.register_buffer("mask", torch.tensor([0, -torch.inf]))
    load(net, state | {"mask": net.mask}, tmp_path)
    refused(net, state | {"mask": -net.mask.flip(0)}, tmp_path, "mask holds NaN or infinite")


class Bomb:
    def __reduce__(self):
        return (explode, ("code of the checkpoint ran",))


def explode(reason):
    pytest.fail(reason)


@pytest.mark.parametrize(
    ("content", "holds"),
    [
        ({"epoch": 3, "best": 0.1}, ", only epoch, best"),
        ([1, 2], ""),
        ({"state_dict": {}}, ", only state_dict"),
        ({1: torch.zeros(1)}, ""),
        (Bomb(), ""),
    ],
)
def test_no_tensors(net, tmp_path, content, holds):
    refused(net, content, tmp_path, f"w.pt holds no tensors by name{holds}$")


@pytest.mark.parametrize("inner", [{}, {"state_dict": {"0.weight": torch.zeros(4, 3, 3, 3)}}])
def test_nests_that_hold_each_other(net, tmp_path, inner):
    nest = {"model": inner}
    inner["self"] = nest
    refused(net, nest, tmp_path, "no tensors by name" if len(inner) == 1 else "has 1 of the 7 ")


def test_another_networks_weights(net, tmp_path):
    refused(
        net,
        {"model": prefixed(nn.Linear(2, 2).state_dict(), "encoder."), "optimizer": {}},
        tmp_path,
        r"has 0 of the 7 tensors of Sequential: it holds model.encoder.weight, model.encoder.bias; "
        "is it the checkpoint of another network",
        partial=True,
    )


def test_no_file(net, tmp_path):
    with pytest.raises(FileNotFoundError):
        models.load_weights(net, tmp_path / "w.pt")


def test_counts_that_a_profiler_left(net, state, tmp_path):
    """Thop's buffers, as in the checkpoints that the GhostNets' authors have published."""
    counts = {name: torch.zeros(1) for name in ("total_ops", "0.total_ops", "1.total_params")}
    assert str(load(net, counts | state, tmp_path)) == "7 tensors loaded"
    assert_loaded(net, state)
