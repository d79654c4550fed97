import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ghostify import GhostifyError, models


@pytest.fixture
def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


@pytest.fixture
def state(net):
    torch.manual_seed(7)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).state_dict()


def prefixed(state, prefix):
    return {prefix + name: tensor for name, tensor in state.items()}


def assert_loaded(net, state):
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())


def test_safetensors(net, state, tmp_path):
    save_file(state, tmp_path / "w.safetensors")
    assert str(models.load_weights(net, tmp_path / "w.safetensors")) == "7 tensors loaded"
    assert_loaded(net, state)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": prefixed(s, "module.")},
        lambda s: {"model": {"state_dict": prefixed(s, "_orig_mod.module.")}},
        lambda s: {"state_dict": prefixed(s, "model.")},
    ],
)
def test_checkpoints_and_their_nests(net, state, tmp_path, wrap):
    torch.save(wrap(state), tmp_path / "w.pt")
    assert str(models.load_weights(net, tmp_path / "w.pt")) == "7 tensors loaded"
    assert_loaded(net, state)


def test_a_name_of_the_network_is_no_prefix(tmp_path):
    net = nn.ModuleDict({"model": nn.Linear(2, 2)})
    torch.save(net.state_dict(), tmp_path / "w.pt")
    assert str(models.load_weights(net, tmp_path / "w.pt")) == "2 tensors loaded"


def test_what_does_not_fit_is_said(net, state, tmp_path):
    del state["0.bias"]
    state["1.weight"] = torch.zeros(5)
    state |= {f"head.{i}": torch.zeros(1) for i in range(5)}
    torch.save(state, tmp_path / "w.pt")
    assert str(models.load_weights(net, tmp_path / "w.pt")) == (
        "5 tensors loaded; 1 missing (0.bias); "
        "5 unexpected (head.0, head.1, head.2 and 2 more); 1 skipped: wrong shape (1.weight)"
    )


def test_a_file_of_text(net, tmp_path):
    (tmp_path / "plan.json").write_text('{"format": "ghostify-plan/1"}')
    with pytest.raises(GhostifyError, match="it is not a file of tensors"):
        models.load_weights(net, tmp_path / "plan.json")


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("code of the checkpoint ran",))


def test_code_in_a_checkpoint_is_refused(net, state, tmp_path):
    torch.save({"state_dict": state, "callback": Bomb()}, tmp_path / "w.pt")
    with pytest.raises(GhostifyError, match="loading it could run code"):
        models.load_weights(net, tmp_path / "w.pt")
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(GhostifyError, match="could run code"):
        models.load_weights(net, tmp_path / "w.pkl")


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"hello", b"\x80\x02"])
def test_other_files(net, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GhostifyError, match=name):
        models.load_weights(net, tmp_path / name)


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], {"state_dict": {}}])
def test_no_tensors(net, tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(GhostifyError, match="holds no tensors by name"):
        models.load_weights(net, tmp_path / "w.pt")


def test_another_networks_weights(net, tmp_path):
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "w.pt")
    with pytest.raises(GhostifyError, match="has 0 of the 7 tensors of Sequential"):
        models.load_weights(net, tmp_path / "w.pt")


def test_weights_that_hardly_fit(net, tmp_path):
    state = {name: torch.zeros(3) for name in net.state_dict()}
    last = list(state)[-1]
    state[last] = net.state_dict()[last]
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(GhostifyError, match="has 1 of the 7 tensors .* another network"):
        models.load_weights(net, tmp_path / "w.pt")


def test_no_file(net, tmp_path):
    with pytest.raises(FileNotFoundError):
        models.load_weights(net, tmp_path / "w.pt")


def test_counts_that_a_profiler_left(net, state, tmp_path):
    """Thop's buffers, as in the checkpoints that the GhostNets' authors have published."""
    counts = {name: torch.zeros(1) for name in ("total_ops", "0.total_ops", "1.total_params")}
    torch.save(counts | state, tmp_path / "w.pth")
    assert str(models.load_weights(net, tmp_path / "w.pth")) == "7 tensors loaded"
    assert_loaded(net, state)
