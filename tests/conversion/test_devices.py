"""Networks on a GPU, with a stand-in: CPU tensors that say so, and refuse to meet CPU tensors."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, get_default_nowrap_functions
from torch.utils._pytree import tree_leaves, tree_map_only

import ghostify

GPU = torch.device("cuda:0")
_as_plain = torch._C.DisableTorchFunctionSubclass
_NO_OPERATIONS = ("__get__", "__set__", "_has_compatible_shallow_copy_type")
_INDEXING = ("__getitem__", "__setitem__")


class OnGpu(Tensor):
    """A tensor of the stand-in."""

    @property
    def device(self):
        with _as_plain():
            own = Tensor.device.__get__(self)
        return own if own.type == "meta" else GPU

    @property
    def grad(self):
        with _as_plain():
            own = Tensor.grad.__get__(self)
        return None if own is None else to_gpu(own)

    @grad.setter
    def grad(self, value):
        with _as_plain():
            Tensor.grad.__set__(self, value)

    def numpy(self, *_, **__):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    __array__ = numpy

    def register_hook(self, hook):
        return super().register_hook(lambda gradient: hook(to_gpu(gradient)))

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})


class _Factories(TorchFunctionMode):
    """Moves and makes tensors of which none is on the stand-in yet."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function.__name__ == "to" or _is_gpu(kwargs.get("device")):
            return _run(function, args, kwargs)
        return function(*args, **kwargs)


@contextmanager
def gpu(monkeypatch):
    """Let ``cuda`` be the stand-in, with a memory of 1 GB."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**30, 2**30))
    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with _Factories():
            yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwrite)


def to_gpu(tensor):
    with _as_plain():
        return tensor if isinstance(tensor, OnGpu) else tensor.as_subclass(OnGpu)


def to_cpu(tensor):
    with _as_plain():
        return tensor.as_subclass(Tensor)


def _is_gpu(device):
    return isinstance(device, (str, torch.device)) and torch.device(device).type == "cuda"


def _run(function, args, kwargs):
    """Run a function of tensors on one device, or one that moves a tensor."""
    name = getattr(function, "__name__", "")
    if name == "backward":  # hooks run inside
        with torch.enable_grad():
            args, kwargs = tree_map_only(Tensor, to_cpu, (args, kwargs))
        return function(*args, **kwargs)
    with _as_plain():
        if name == "__deepcopy__":
            return _copied(*args)
        if name in ("to", "cpu"):
            return _moved(name, function, args, kwargs)
        target = kwargs.get("device")
        if _is_gpu(target):
            return to_gpu(function(*args, **kwargs | {"device": "cpu"}))
        if name != "copy_" and target is None:
            _check(name, args, kwargs)
        result = function(*args, **kwargs)
        if target is not None or function in get_default_nowrap_functions():
            return result
        if name == "copy_":
            return args[0]
        somewhere = any(isinstance(leaf, OnGpu) for leaf in tree_leaves((args, kwargs)))
        return tree_map_only(Tensor, to_gpu, result) if somewhere else result


def _moved(name, function, args, kwargs):
    tensor, *rest = args
    targets = [*rest, *kwargs.values()]
    like = next((leaf for leaf in targets if isinstance(leaf, Tensor)), None)
    device = next((leaf for leaf in targets if isinstance(leaf, (str, torch.device))), None)
    if like is not None:
        device, rest = like.device, [like.dtype]
    elif name == "cpu":
        device = "cpu"
    if device is not None and torch.device(device).type == "meta":
        return function(to_cpu(tensor), *rest, **kwargs)
    to_there = isinstance(tensor, OnGpu) if device is None else _is_gpu(device)
    rest = ["cpu" if _is_gpu(leaf) else leaf for leaf in rest]
    kwargs = {key: "cpu" if _is_gpu(value) else value for key, value in kwargs.items()}
    result = function(tensor, *rest, **kwargs)
    if to_there != isinstance(tensor, OnGpu) and result is tensor:
        result = result.clone()
    return (to_gpu if to_there else to_cpu)(result)


def _copied(tensor, memo):
    copied = memo[id(tensor)] = to_gpu(tensor.detach().clone()).requires_grad_(tensor.requires_grad)
    if getattr(tensor, "_is_param", False):
        copied._is_param = True
    return copied


def _check(name, args, kwargs):
    """Refuse tensors on both devices. Numbers may be on the CPU, and so may indices."""
    leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    if name in _INDEXING and isinstance(args[0], OnGpu):
        leaves = [args[0], *(leaf for leaf in args[2:] if isinstance(leaf, Tensor))]
    kinds = {isinstance(leaf, OnGpu) for leaf in leaves if leaf.dim() and not leaf.is_meta}
    if len(kinds) > 1 and name not in _NO_OPERATIONS:
        shapes = ", ".join(f"{type(leaf).__name__} {tuple(leaf.shape)}" for leaf in leaves)
        raise RuntimeError(f"{name}: expected all tensors to be on the same device: {shapes}")


IMAGES = torch.randn(48, 3, 16, 16, generator=torch.Generator().manual_seed(0))
DATA = {"calibration": list(IMAGES.split(16)), "outputs": "classes", "progress": False}


def convert(model, image):
    return ghostify.convert(model, image, **DATA)


def finetune(model, image):
    return ghostify.convert(model, image, finetune_steps=2, **DATA)


def plan(model, image):
    return ghostify.convert(model, image, budget="macs=0.5", **DATA)


def plan_without_data(model, image):
    return ghostify.convert(model, image, budget="macs=0.5", progress=False)


def deploy(model, image):
    ghost = ghostify.convert(model, image, progress=False)
    return ghostify.deploy(ghost, image)


def recalibrate(model, image):
    return ghostify.recalibrate(model, DATA["calibration"], progress=False)


@pytest.mark.parametrize("make", [convert, finetune, plan, plan_without_data, deploy, recalibrate])
def test_a_network_on_a_gpu_becomes_what_it_does_on_a_cpu(make, small_net, monkeypatch):
    expected = make(small_net, IMAGES[:1])
    with gpu(monkeypatch):
        found = make(small_net.to("cuda"), IMAGES[:1].to("cuda"))
    state = found.state_dict()
    assert {tensor.device.type for tensor in state.values()} == {"cuda"}
    assert state.keys() == expected.state_dict().keys()
    for name, tensor in expected.state_dict().items():
        assert torch.equal(to_cpu(state[name]), tensor), name


def test_sensitivities_and_scores(small_net, monkeypatch):
    def measure(model, image):
        score = ghostify.evaluate(model, DATA["calibration"], teacher=model, progress=False)
        return ghostify.sensitivity(model, image, **DATA), score

    expected = measure(small_net, IMAGES[:1])
    with gpu(monkeypatch):
        assert measure(small_net.to("cuda"), IMAGES[:1].to("cuda")) == expected


def test_the_stand_in_refuses_what_a_gpu_does(monkeypatch):
    with gpu(monkeypatch):
        layer = nn.Linear(2, 2).to("cuda")
        with pytest.raises(RuntimeError, match="same device"):
            layer(torch.ones(1, 2))
        with pytest.raises(TypeError, match="numpy"):
            layer.weight.detach().numpy()
        with pytest.raises(RuntimeError, match="same device"):
            torch.zeros(2) + torch.zeros(2, device="cuda")
