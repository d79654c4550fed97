import socket
import sys
from types import SimpleNamespace

import pytest
import torchvision
from torch import nn

from ghostify import GhostifyError, models
from ghostify.models.registry import declared_input_size, is_named
from ghostify.types import ModelSource


def build(name, **arguments):
    return models.build(ModelSource(name, arguments))


def test_torchvision_needs_no_prefix():
    model, source = build("resnet18", num_classes=7)
    assert type(model).__name__ == "ResNet"
    assert model.fc.out_features == 7
    assert (source.arguments, source.input_size) == ({"num_classes": 7}, (3, 224, 224))
    assert type(build("torchvision:resnet18")[0]) is type(model)


@pytest.mark.parametrize(
    ("name", "size"),
    [("inception_v3", (3, 299, 299)), ("efficientnet_b0", (3, 224, 224)), ("raft_small", None)],
)
def test_the_input_size_is_that_of_the_weights(name, size):
    assert build(name)[1].input_size == size


def test_a_size_that_is_given_stays():
    source = ModelSource("resnet18", {}, (3, 64, 64))
    assert models.build(source)[1].input_size == (3, 64, 64)
    assert models.example(source).shape == (1, 3, 64, 64)


class Configured(nn.Module):
    def __init__(self, **settings):
        super().__init__()
        self.config = SimpleNamespace(**settings)


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"image_size": 32}, (3, 32, 32)),
        ({"image_size": (32, 48), "num_channels": 1}, (1, 32, 48)),
        ({}, None),
    ],
)
def test_the_size_that_a_configuration_declares(settings, size):
    assert declared_input_size(Configured(**settings)) == size
    network = Configured(**settings)
    network.pretrained_cfg = {"input_size": [3, 8, 8]}
    assert declared_input_size(network) == (3, 8, 8)
    network.pretrained_cfg = {"input_size": None}
    assert declared_input_size(network) == size


def test_a_size_beyond_memory():
    with pytest.raises(GhostifyError, match=r"`input_size` \(=3x9{8}x9{8}\) needs more memory"):
        models.example(ModelSource("x", {}, (3, 10**8 - 1, 10**8 - 1)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("net.py", "net.py names no factory: use net.py:FACTORY"),
        ("weights.safetensors", "is a file of weights, not a network: name the function"),
        ("w.ckpt", "load w.ckpt with load_weights"),
    ],
)
def test_files_in_place_of_networks(name, message):
    with pytest.raises(GhostifyError, match=message):
        build(name)


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("resnet18", True), ("timm:x", True), ("ghostify:x", True), ("torchvision:x", True),
        ("net.py:build", False), ("package.module:build", False), ("C:net.py:build", False),
    ],
)  # fmt: skip
def test_what_is_named(name, named):
    assert is_named(ModelSource(name)) == named


def test_weights_of_a_name(monkeypatch):
    """Preprocessing and input are those of the weights that are asked for."""
    monkeypatch.setattr(
        "torchvision.models._api.WeightsEnum.get_state_dict",
        lambda *_, **__: torchvision.models.regnet_y_400mf().state_dict(),
    )
    asked = ModelSource("regnet_y_400mf")
    built = {w: models.build(asked, pretrained=w)[1] for w in ("IMAGENET1K_V1", True, False)}
    sizes = {weights: source.preprocessing.resize for weights, source in built.items()}
    assert sizes == {"IMAGENET1K_V1": 256, True: 232, False: 232}


def test_detectors_are_built_without_a_download():
    assert build("fcn_resnet50")[0] is not None


def test_timm():
    pytest.importorskip("timm", reason="timm is an extra")
    model, source = build("timm:mobilenetv3_small_050", num_classes=3)
    assert isinstance(model, nn.Module)
    assert source.input_size == (3, 224, 224)
    assert build("timm:mobilenetv3_small_050.lamb_in1k")[1].input_size == (3, 224, 224)


def test_ghostify():
    model, source = build("ghostify:cifar_resnet20", num_classes=7)
    assert model.fc.out_features == 7
    assert source.input_size == (3, 32, 32)
    assert "ghostify:cifar_resnet20" in models.names()


def test_timm_where_it_is_missing(monkeypatch):
    monkeypatch.setattr("ghostify.models.libraries.find_spec", lambda name: None)
    with pytest.raises(GhostifyError, match="timm is not installed: pip install timm"):
        build("timm:resnet18")
    assert not any(name.startswith("timm:") for name in models.names())


def test_an_unknown_name_shows_near_ones():
    with pytest.raises(GhostifyError, match="unknown model 'resnet51'; did you mean .*resnet50"):
        build("resnet51")
    with pytest.raises(GhostifyError, match="unknown model 'torchvision:vgg17'; did you mean"):
        build("torchvision:vgg17")


@pytest.mark.parametrize("argument", ["weights", "pretrained", "checkpoint_path"])
def test_arguments_for_weights_are_reserved(argument):
    with pytest.raises(GhostifyError, match=f"{argument}.*instead"):
        build("resnet18", **{argument: "x"})


def test_a_wrong_argument():
    with pytest.raises(GhostifyError, match="resnet18 cannot be built: .*classes"):
        build("resnet18", classes=7)


@pytest.mark.parametrize(
    "name",
    # timm's hub tries for most of a minute before it gives up
    ["resnet18", pytest.param("timm:resnet18", marks=pytest.mark.slow)],
)
def test_no_network(name, monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(GhostifyError, match="cannot download the weights of .*load_weights"):
        models.build(ModelSource(name), pretrained=True)


NET = """
from torch import nn

class Net(nn.Sequential):
    pretrained_cfg = {"input_size": (3, 20, 20)}

def build(width=8):
    return Net(nn.Conv2d(3, width, 3))

def fails():
    raise RuntimeError("no luck\\nat all")

wrong = dict
number = 3
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    file = tmp_path / "users_net.py"
    file.write_text(NET)
    return file


@pytest.mark.parametrize("place", ["users_net.py", "./users_net.py", "users_net"])
def test_the_users_own_code(net, place):
    model, source = build(f"{place}:build", width=12)
    assert model[0].out_channels == 12
    assert source.input_size == (3, 20, 20)


def test_a_class_is_a_factory_too(net):
    assert len(build("users_net:Net")[0]) == 0


def test_code_beside_the_file_is_found(net):
    (net.parent / "sub").mkdir()
    (net.parent / "sub" / "helper_of_mine.py").write_text("from torch import nn")
    (net.parent / "sub" / "other.py").write_text(
        "from helper_of_mine import nn\ndef f(): return nn.Conv2d(3, 4, 1)"
    )
    assert build("sub/other.py:f")[0].out_channels == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("users_net.py:biuld", "users_net.py has no function 'biuld'; did you mean build"),
        ("users_net:number", "users_net has no function 'number'"),
        ("users_net.py:fails", "users_net.py:fails failed: RuntimeError: no luck$"),
        ("users_net.py:wrong", "returned a dict, not an nn.Module"),
        ("missing.py:build", "no file missing.py"),
        ("no.such.module:build", "cannot import no.such.module: ModuleNotFoundError"),
        ("broken.py:build", "cannot import broken.py: SyntaxError"),
    ],
)
def test_code_that_fails(net, name, message):
    (net.parent / "broken.py").write_text("def build(:")
    with pytest.raises(GhostifyError, match=message):
        build(name)


def test_a_size_that_is_given_goes_before_a_declared_one(net):
    source = ModelSource("users_net.py:build", {}, (3, 8, 8))
    assert models.build(source)[1].input_size == (3, 8, 8)


def test_a_file_named_as_a_module_in_use(net):
    (net.parent / "socket.py").write_text(NET)
    assert len(build("socket.py:build")[0]) == 1
    assert sys.modules["socket"] is socket
    assert "socket_" in sys.modules


def test_a_file_that_failed_can_be_mended(net):
    (net.parent / "mended.py").write_text("import missing_module")
    with pytest.raises(GhostifyError, match="cannot import mended.py: ModuleNotFoundError"):
        build("mended.py:build")
    assert "mended" not in sys.modules
    (net.parent / "mended.py").write_text(f"{NET}\n# now without a fault")
    assert len(build("mended.py:build")[0]) == 1


def test_downloads_are_for_named_networks(net):
    with pytest.raises(GhostifyError, match="for named networks"):
        models.build(ModelSource("users_net.py:build"), pretrained=True)


def test_an_unknown_input_size():
    with pytest.raises(
        GhostifyError, match=r"declare its input size: pass it, such as input_size=\(3"
    ):
        models.example(ModelSource("raft_small"))
