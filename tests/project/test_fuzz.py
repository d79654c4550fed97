"""Two thousand damaged files: one line or what was written, no traceback, no hang, no doubt.

Bytes are changed as disks and downloads change them. Entries of JSON are changed by somebody who
also writes the right checksum, to values that none of our own writers would write.
"""

import copy
import io
import json
import math
import random
import resource
import shutil
import signal
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import ghostify
from ghostify import Artifact, GhostifyError, Plan, models
from ghostify.data import open_calibration
from ghostify.deployment.layer_latency import _Cache
from ghostify.io.checksummed_json import checksummed
from ghostify.io.measurements import KINDS
from ghostify.io.recipe import read_recipe
from ghostify.models.identity import file_digest
from ghostify.training.checkpoint import read_checkpoint
from ghostify.types import ModelSource, Sensitivity

pytestmark = pytest.mark.slow

SECONDS = 20
"""A try that takes longer hangs."""

JUNK = [
    None, True, False, -1, 0, 1, 3, 2**31, 2**62, 2**63, 10**400, 0.5, -0.5, 1e308, math.nan,
    math.inf, -math.inf, "", "a", "\0", "\ud800", "\x1b[31m\nerror: forged", "x" * 100_000,
    "../../etc/passwd", "__class__", "-1", [], [None], [[]], [1, 2], [-1, 0], {}, {"": None},
    {"ratio": 2, "dw_size": 3}, [{"value": 1}], "0-99999", "eager",
]  # fmt: skip


class Net(nn.Module):
    """As small as a network with a Ghost module, a region and a norm can be."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.wide = nn.Conv2d(4, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        return self.head(self.norm(self.wide(self.stem(x).relu())).relu().mean((2, 3)))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = Net().eval()
    net.norm.running_mean.fill_(0.1)
    return net


@pytest.fixture(scope="module")
def image():
    return torch.linspace(-1, 1, 3 * 8 * 8).view(1, 3, 8, 8)


@pytest.fixture(scope="module")
def artifact(net, image, tmp_path_factory):
    """An artifact with measurements of all kinds and the checkpoint of a training."""
    pytest.importorskip("jinja2", reason="pages are an extra")
    folder = tmp_path_factory.mktemp("fuzz")
    torch.save(net.state_dict(), folder / "net.pt")
    images = torch.rand(16, 3, 8, 8)
    ghost = ghostify.convert(net, image, budget="macs=0.8", calibration=images, progress=False)
    source = ModelSource("net.py:build", {"width": 3, "name": "a"}, (3, 8, 8))
    saved = ghostify.save(
        ghost, folder / "out", original=net, example=image, source=source,
        weights=folder / "net.pt", options={"budget": ["macs=0.8"], "runtime": "eager"},
    )  # fmt: skip
    saved.compare()
    saved.benchmark(seconds=0)
    saved.export(folder / "net.pt2", progress=False)
    saved.record_feature_maps(image)
    saved.search(budget="macs=0.8", calibration=images, progress=False)
    labeled = [(images, torch.arange(16) % 4)]
    saved.evaluate(labeled, device="cpu", progress=False)
    saved.remember("compression", compress(net, folder / "compressed").to_dict())
    saved.model.head.weight.data.mul_(0.1)

    def stop(record):
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    training = {"epochs": 4, "lr": 0.01, "validation": 4 * [images]}
    with pytest.raises(KeyboardInterrupt):
        saved.recover(4 * [images], **training, on_epoch=stop)
    better, _, _ = saved.recover(4 * [images], **training, out=folder / "better")
    assert better.path == folder / "better"
    assert all(list((saved.path / "measurements").glob(f"{kind}*")) for kind in KINDS)
    return folder


def compress(net, out, **options):
    """Compress without a training, to a given budget."""
    torch.manual_seed(0)
    images = 4 * [torch.rand(16, 3, 8, 8)]
    options = {"budget": "macs=0.8", "minutes": 1e-6, "device": "cpu", **options}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ghostify.compression.compress._TIMING", 0.0)
        return ghostify.compress(net, images, out=out, progress=False, **options)[1]


@contextmanager
def in_time():
    def end(*_):
        pytest.fail(f"a try took more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def attempt(use):
    """Whether a try succeeds; it may fail with one line, which says what is wrong."""
    said = None
    try:
        with in_time(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            use()
    except (GhostifyError, OSError) as error:
        said = str(error)
    assert said is None or len(said.splitlines()) == 1
    return said is None


def damage(data, random):
    """Bytes as disks and downloads change them."""
    data = bytearray(data)
    place, length = random.randrange(len(data)), random.choice([1, 1, 2, 16, 512])
    match random.randrange(6):
        case 0 | 1:
            data[place] ^= 1 << random.randrange(8)
        case 2:
            del data[place:]
        case 3:
            del data[place : place + length]
        case 4:
            data[place : place + length] = bytes(len(data[place : place + length]))
        case 5:
            data[place:place] = random.randbytes(length)
    return bytes(data)


def places(value, path=()):
    """The paths of all entries of a JSON value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, entry in entries:
        yield (*path, key)
        if isinstance(entry, dict | list):
            yield from places(entry, (*path, key))


def change(document, random):
    """Change one to three entries of a JSON document; its checksum is not one."""
    document = json.loads(json.dumps(document))
    for _ in range(random.choice([1, 1, 2, 3])):
        found = [path for path in places(document) if path[0] not in ("digest", "format")]
        if not found:
            break
        *way, last = random.choice(found)
        inner = document
        for key in way:
            inner = inner[key]
        match random.randrange(8):
            case 0:
                del inner[last]
            case 1 if isinstance(inner, dict):
                inner[random.choice(["new", "", "\ud800", "x" * 300])] = inner.pop(last)
            case 2 if isinstance(inner[last], int | float):
                inner[last] = random.choice([-inner[last], inner[last] * 10**6, inner[last] + 1])
            case 3 if isinstance(inner, list):
                inner.insert(last, inner[last])
            case _:
                inner[last] = copy.deepcopy(random.choice(JUNK))
    return document


def sealed(document):
    document.pop("digest", None)
    return checksummed(document).encode(errors="backslashreplace")


def tries(number, name):
    """Seeded generators, one for each try."""
    return (random.Random(f"{name} {n}") for n in range(number))


@pytest.fixture(autouse=True)
def bounded_memory():
    """No try fills the memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # KiB


@pytest.fixture
def folder(artifact, tmp_path):
    shutil.copytree(artifact, tmp_path / "fuzz")
    return tmp_path / "fuzz"


def use_artifact(folder, net, image):
    """Everything that reads a recipe or measurements, and does not train."""
    artifact = Artifact(folder, net, example=image)
    assert artifact.stage
    artifact.model(image)
    artifact._sensitivity()
    artifact.write_report()


def seen(text):
    return json.loads(text)


@pytest.mark.parametrize("name", ["out", "better"])
def test_recipes(folder, net, image, name):
    file = folder / name / "ghostify.json"
    intact = file.read_bytes()
    for chance in tries(150, f"recipe {name}"):
        file.write_bytes(sealed(change(seen(intact), chance)))
        attempt(lambda: use_artifact(folder / name, net, image))
    for chance in tries(100, f"bytes {name}"):
        file.write_bytes(damaged := damage(intact, chance))
        if attempt(lambda: read_recipe(folder / name)):
            assert seen(damaged) == seen(intact)
    file.write_bytes(intact)
    assert attempt(lambda: use_artifact(folder / name, net, image))


def test_weights(folder, net, image):
    file = folder / "out" / "model.safetensors"
    recipe = folder / "out" / "ghostify.json"
    intact, document = file.read_bytes(), seen(recipe.read_bytes())
    for chance in tries(100, "weights"):
        file.write_bytes(damaged := damage(intact, chance))
        assert not attempt(lambda: ghostify.load(folder / "out", net)) or damaged == intact
    for chance in tries(100, "resealed weights"):
        place = chance.randrange(min(len(intact), 2000))  # most of it the header
        file.write_bytes(intact[:place] + damage(intact[place:], chance))
        document["weights"]["sha256"] = file_digest(file)
        recipe.write_bytes(sealed(document))
        attempt(lambda: ghostify.load(folder / "out", net))


@pytest.mark.parametrize("kind", KINDS)
def test_measurements(folder, net, image, kind):
    for file in (folder / "out" / "measurements").glob(f"{kind}*.json"):
        intact = file.read_bytes()
        for chance in tries(60, kind):
            file.write_bytes(sealed(change(seen(intact), chance)))
            attempt(lambda: use_artifact(folder / "out", net, image))
        for chance in tries(15, f"bytes {kind}"):
            file.write_bytes(damaged := damage(intact, chance))
            if attempt(lambda: ghostify.write_report(folder / "out")):
                assert seen(damaged) == seen(intact)
        file.write_bytes(intact)
        assert attempt(lambda: use_artifact(folder / "out", net, image))


def test_plans(folder, net, image):
    intact = Plan.of(ghostify.load(folder / "out", net)).to_json()
    file = folder / "plan.json"

    def use():
        ghostify.convert(net, image, plan=Plan.load(file))

    for chance in tries(200, "plan"):
        document = change(seen(intact), chance)
        file.write_text(json.dumps(document))
        attempt(use)
    for chance in tries(50, "bytes of a plan"):
        file.write_bytes(damage(intact.encode(), chance))
        attempt(lambda: Plan.load(file))


def test_sensitivities(folder, net, image):
    intact = ghostify.sensitivity(net, image, progress=False).to_json()
    file = folder / "sensitivity.json"

    def use():
        ghostify.plan(net, image, budget="macs=0.8", sensitivity=Sensitivity.load(file))

    for chance in tries(150, "sensitivity"):
        file.write_text(json.dumps(change(seen(intact), chance)))
        attempt(use)


def test_trials(folder, net):
    trials = folder / "compressed" / "trials"
    record = seen((trials / "trials.json").read_bytes()) | {"finished": 0.0}  # no time is left
    (trials / "trials.json").write_bytes(sealed(record))
    for file in (trials / "trials.json", trials / "sensitivity.json"):
        intact = file.read_bytes()
        for chance in tries(60, file.name):
            file.write_bytes(sealed(change(seen(intact), chance)))
            attempt(lambda: compress(net, folder / "compressed", resume=True))
        for chance in tries(15, f"bytes of {file.name}"):
            file.write_bytes(damage(intact, chance))
            attempt(lambda: compress(net, folder / "compressed", resume=True))
        file.write_bytes(intact)
        assert attempt(lambda: compress(net, folder / "compressed", resume=True))


def test_checkpoints(folder):
    training = folder / "out-recovered" / "recovery"
    (seal,), (tensors,) = training.glob("*/*.json"), training.glob("*/*.pt")
    for file in (seal, tensors):
        intact = file.read_bytes()
        for chance in tries(60, file.name):
            file.write_bytes(damaged := damage(intact, chance))
            if attempt(lambda: read_checkpoint(training)):
                assert damaged == intact or seen(damaged) == seen(intact)
        file.write_bytes(intact)
        assert attempt(lambda: read_checkpoint(training))
    for chance in tries(100, "resealed checkpoint"):
        seal.write_bytes(sealed(change(seen(intact := seal.read_bytes()), chance)))
        attempt(lambda: read_checkpoint(training))
        seal.write_bytes(intact)


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_weights_of_others(folder, net, image, ending):
    file = folder / f"theirs.{ending}"
    if ending == "pt":
        torch.save({"state_dict": net.state_dict(), "epoch": 3}, file)
    else:
        save_file(net.state_dict(), file)
    intact = file.read_bytes()
    for chance in tries(100, ending):
        file.write_bytes(damage(intact, chance))
        attempt(lambda: models.load_weights(Net(), file))


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "pt", "npy"])
def test_images(folder, net, image, ending):
    pixels = np.arange(20 * 20 * 3, dtype=np.uint8).reshape(20, 20, 3)
    stream = io.BytesIO()
    if ending == "pt":
        torch.save(torch.rand(2, 3, 8, 8), stream)
    elif ending == "npy":
        np.save(stream, np.random.default_rng(0).random((2, 3, 8, 8), np.float32))
    else:
        Image.fromarray(pixels).save(stream, {"jpg": "jpeg"}.get(ending, ending))
    (folder / "images").mkdir()
    file = folder / "images" / f"a.{ending}"
    source = ModelSource("net", {}, (3, 8, 8))
    name = str(file if ending in ("pt", "npy") else file.parent)
    for chance in tries(50, ending):
        file.write_bytes(damage(stream.getvalue(), chance))
        attempt(lambda: open_calibration(name, net, source, progress=False))


def test_caches(folder):
    """A damaged cache is an empty one."""
    file = folder / "latencies.json"
    for chance in tries(100, "cache"):
        document = change({"conv": 1.5, "ghost": 0.5}, chance)
        file.write_bytes(
            chance.choice([json.dumps(document).encode(), damage(b'{"a": 1}', chance)])
        )
        assert all(math.isfinite(value) and value >= 0 for value in _Cache(file).values())
