import json
import os
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

import ghostify
from ghostify import Artifact, GhostifyError, GhostSpec, Plan
from ghostify.artifact.folder import beside
from ghostify.io.checksummed_json import checksummed, json_digest
from ghostify.io.recipe import read_recipe
from ghostify.models.identity import file_digest
from ghostify.types import Fidelity, ModelSource


@pytest.fixture
def ghost(small_net, image):
    ghost = ghostify.convert(small_net, image)
    ghost(image)  # moves the running statistics
    return ghost.eval()


def test_round_trip(ghost, small_net, image, tmp_path):
    path = ghostify.save(ghost, tmp_path / "out").path
    assert sorted(file.name for file in path.iterdir()) == ["ghostify.json", "model.safetensors"]
    again = ghostify.load(path, small_net.eval())
    assert torch.equal(again(image), ghost(image))
    assert Plan.of(again) == Plan.of(ghost)
    ghostify.save(again, tmp_path / "again")


def test_round_trip_of_a_narrowed_network(narrowing_plan, tmp_path):
    model = torchvision.models.mobilenet_v3_small()
    image = torch.randn(2, 3, 64, 64)
    plan = narrowing_plan(model, image, ghost=GhostSpec(2, 3))
    ghost = ghostify.convert(model, image, plan=plan).eval()
    assert Plan.of(ghost) == plan
    again = ghostify.load(ghostify.save(ghost, tmp_path / "out"), model)
    assert torch.equal(again.eval()(image), ghost(image))
    assert Plan.of(again) == plan


def test_rights_are_the_usual_ones(ghost, tmp_path):
    path = ghostify.save(ghost, tmp_path / "out").path
    (tmp_path / "plain").touch()
    for file in path.iterdir():
        assert file.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_the_recipe_is_readable(ghost, tmp_path):
    source = ModelSource("net.py:build", {"classes": 10}, (3, 16, 16))
    path = ghostify.save(ghost, tmp_path / "out", source=source).path
    text = (path / "ghostify.json").read_text(encoding="utf-8")
    recipe = json.loads(text)
    assert recipe["model"] == "SmallNet"
    assert recipe["source"]["name"] == "net.py:build"
    assert recipe["versions"] == {"ghostify": ghostify.__version__, "torch": torch.__version__}
    assert recipe["plan"] == Plan.of(ghost).to_dict()
    assert '      "wide": {"ghost": {"ratio": 2, "dw_size": 3}' in text


def test_a_new_process_computes_the_same(tmp_path, image):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def build():\n"
        "    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 9, 3))\n"
    )
    script = tmp_path / "first.py"
    common = "import torch, ghostify, net\nx = torch.linspace(-1, 1, 300).view(1, 3, 10, 10)\n"
    script.write_text(
        common + "g = ghostify.convert(net.build(), x).eval()\n"
        "ghostify.save(g, 'out')\ntorch.save(g(x), 'y.pt')\n"
    )
    second = tmp_path / "second.py"
    second.write_text(
        common + "y = torch.load('y.pt', weights_only=True)\n"
        "assert torch.equal(ghostify.load('out', net.build().eval())(x), y)\n"
    )
    for file in (script, second):
        subprocess.run([sys.executable, file], cwd=tmp_path, check=True)


def test_tied_weights_and_strides_survive(image, tmp_path):
    def build():
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3), nn.ReLU())
        model[2].weight = model[1].weight
        model.append(nn.Conv2d(8, 8, 3))
        return model.to(memory_format=torch.channels_last).eval()

    ghost = ghostify.convert(build(), image)
    path = ghostify.save(ghost, tmp_path / "out").path
    again = ghostify.load(path, build())
    assert torch.equal(again(image), ghost(image))
    assert again[1].weight is again[2].weight


def test_named_networks_are_built_by_themselves(tmp_path):
    source = ModelSource("resnet18", {"num_classes": 7}, (3, 64, 64))
    model, source = ghostify.models.build(source)
    x = ghostify.models.example(source)
    ghost = ghostify.convert(model, x).eval()
    path = ghostify.save(ghost, tmp_path / "out", source=source).path
    assert torch.equal(ghostify.load(path).eval()(x), ghost(x))


def test_user_code_is_not_run_on_an_artifacts_word(ghost, tmp_path):
    path = ghostify.save(ghost, tmp_path / "out", source=ModelSource("evil.py:build")).path
    with pytest.raises(
        GhostifyError, match=r"your own code \(evil.py:build\).*pass the unconverted model"
    ):
        ghostify.load(path)


def test_no_source_no_model(ghost, tmp_path):
    path = ghostify.save(ghost, tmp_path / "out").path
    with pytest.raises(GhostifyError, match="pass the unconverted model"):
        ghostify.load(path)


def test_an_existing_folder_needs_force(ghost, tmp_path):
    path = ghostify.save(ghost, tmp_path / "out").path
    with pytest.raises(GhostifyError, match="exists"):
        ghostify.save(ghost, path)
    ghostify.save(ghost, path, force=True)


def test_only_converted_models_are_saved(small_net, tmp_path):
    with pytest.raises(GhostifyError, match="not a converted model"):
        ghostify.save(small_net, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing(ghost, tmp_path):
    code = (
        "import resource, sys, ghostify, torch\n"
        "from torch import nn\n"
        "x = torch.zeros(1, 3, 8, 8)\n"
        "g = ghostify.convert(nn.Sequential(nn.Conv2d(3, 64, 3), nn.Conv2d(64, 64, 3)), x)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "try:\n    ghostify.save(g, 'out')\n"
        "except OSError as error:\n    print('told:', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "told:" in done.stdout
    assert not list(tmp_path.iterdir())


def damage(path, change):
    data = bytearray(path.read_bytes())
    path.write_bytes(change(data))


def flipped(position):
    def flip(data):
        data[position % len(data)] ^= 1
        return data

    return flip


@pytest.mark.parametrize("file", ["ghostify.json", "model.safetensors"])
@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-9],
        lambda data: data[:0],
        *(flipped(7**k) for k in range(7)),
        flipped(-2),
    ],
)
def test_a_damaged_artifact_is_refused(ghost, small_net, tmp_path, file, change):
    path = ghostify.save(ghost, tmp_path / "out").path
    damage(path / file, change)
    with pytest.raises(GhostifyError, match="damaged"):
        ghostify.load(path, small_net)


@pytest.mark.parametrize("junk", [[], 3, "text", True, {"layers": {"wide": 3}}, {"name": 3}])
@pytest.mark.parametrize("field", ["plan", "fidelity", "recovery", "source", "weights"])
def test_an_invalid_recipe_with_a_right_checksum(ghost, small_net, tmp_path, field, junk):
    if junk == [] and field in ("fidelity", "recovery", "source"):
        junk = [1]
    path = ghostify.save(ghost, tmp_path / "out").path
    recipe = read_recipe(path).to_dict() | {field: junk}
    (path / "ghostify.json").write_text(checksummed(recipe))
    with pytest.raises(GhostifyError, match=rf"json is damaged: invalid recipe: .*{field}"):
        ghostify.load(path, small_net)


def test_no_artifact(small_net, tmp_path):
    with pytest.raises(GhostifyError, match="not a ghostify artifact"):
        ghostify.load(tmp_path, small_net)
    with pytest.raises(GhostifyError, match="not a ghostify artifact"):
        ghostify.load(tmp_path / "missing", small_net)


def test_a_missing_weights_file(ghost, small_net, tmp_path):
    path = ghostify.save(ghost, tmp_path / "out").path
    (path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="model.safetensors"):
        ghostify.load(path, small_net)


def test_the_wrong_base_model(ghost, small_net, tmp_path):
    path = ghostify.save(ghost, tmp_path / "out").path
    small_net.head = nn.Linear(32, 11)
    with pytest.raises(GhostifyError, match=r"made from another network: .*head"):
        ghostify.load(path, small_net)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_types_are_the_saved_ones(ghost, small_net, tmp_path, dtype):
    path = ghostify.save(ghost.to(dtype), tmp_path / "out").path
    again = ghostify.load(path, small_net)
    for name, value in ghost.state_dict().items():
        found = again.state_dict()[name]
        assert (found.dtype, found.tolist()) == (value.dtype, value.tolist())


def test_the_meta_device(ghost, small_net, tmp_path):
    path = ghostify.save(ghost, tmp_path / "out").path
    with pytest.raises(GhostifyError, match="is on the meta device: pass a model with memory"):
        ghostify.load(path, small_net.to("meta"))
    with pytest.raises(GhostifyError, match="cannot be saved: it is on the meta device"):
        ghostify.save(ghost.to("meta"), tmp_path / "meta")


def test_what_is_no_tensor_is_refused(ghost, tmp_path):
    class Noted(nn.Linear):
        def get_extra_state(self):
            return {"epoch": 3}

    ghost.head.__class__ = Noted
    with pytest.raises(GhostifyError, match="head._extra_state cannot be saved: it is no tensor"):
        ghostify.save(ghost, tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("source", ["resnet18", ModelSource("a:b", {"norm": nn.BatchNorm2d})])
def test_a_source_that_cannot_be_written(ghost, tmp_path, source):
    with pytest.raises(GhostifyError, match="source"):
        ghostify.save(ghost, tmp_path / "out", source=source)


def test_an_artifact_from_before_fidelity_was_measured(small_net, image, tmp_path):
    converted = ghostify.convert(small_net, image, calibration=torch.randn(20, 3, 16, 16))
    path = ghostify.save(converted, tmp_path / "out").path
    recipe = json.loads((path / "ghostify.json").read_text(encoding="utf-8"))
    del recipe["fidelity"], recipe["digest"]
    recipe["digest"] = json_digest(recipe)
    (path / "ghostify.json").write_text(json.dumps(recipe), encoding="utf-8")
    loaded = ghostify.load(path, small_net)
    assert Fidelity.find(loaded) is None
    assert torch.equal(loaded.eval()(image), converted.eval()(image))


def test_where_the_original_comes_from(ghost, tmp_path):
    own = ghostify.save(ghost, tmp_path / "own", source=ModelSource("net.py:build")).path
    named = ghostify.save(ghost, tmp_path / "named", source=ModelSource("resnet18")).path
    nothing = ghostify.save(ghost, tmp_path / "nothing").path
    assert type(Artifact(named).original).__name__ == "ResNet"
    with pytest.raises(GhostifyError, match="your own code"):
        _ = Artifact(own).original
    with pytest.raises(GhostifyError, match="does not say what it was made from"):
        _ = Artifact(nothing).original
    with pytest.raises(GhostifyError, match="not a ghostify artifact"):
        Artifact(tmp_path)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("killed")])
def test_weights_survive_a_failure_to_replace_them(ghost, small_net, tmp_path, monkeypatch, error):
    path = ghostify.save(ghost, tmp_path / "out").path
    before = {file.name: file.read_bytes() for file in path.iterdir()}

    def fail(*_, **__):
        raise error

    ghost.head.weight.data += 1
    for place in ("save_file", "write_recipe", "file_digest"):
        with monkeypatch.context() as patch:
            patch.setattr(f"ghostify.artifact.folder.{place}", fail)
            with pytest.raises(type(error)):
                ghostify.save(ghost, path, force=True)
        assert {file.name: file.read_bytes() for file in path.iterdir()} == before
        assert [file.name for file in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["ghostify.json", "model.safetensors"])
def test_a_pipe_is_no_file(ghost, small_net, tmp_path, name):
    """Who reads one may wait for ever."""
    path = ghostify.save(ghost, tmp_path / "out").path
    (path / name).unlink()
    os.mkfifo(path / name)
    with pytest.raises(GhostifyError, match="is not a (regular file|ghostify artifact)"):
        ghostify.load(path, small_net)


def test_an_artifact_that_is_replaced_while_it_is_read(
    ghost, small_net, image, tmp_path, monkeypatch
):
    path = ghostify.save(ghost, tmp_path / "out").path
    other = ghostify.convert(small_net, image, ratio=4).eval()

    def replace_first(file):
        monkeypatch.undo()
        ghostify.save(other, path, force=True)
        return file_digest(file)

    monkeypatch.setattr("ghostify.artifact.folder.file_digest", replace_first)
    again = ghostify.load(path, small_net.eval())
    assert Plan.of(again) == Plan.of(other)
    assert torch.equal(again(image), other(image))


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_replacement_that_was_killed_is_finished_by_the_reader(
    ghost, small_net, image, tmp_path, monkeypatch, moved
):
    """Two files are complete, and the process was killed after it had moved ``moved`` of them."""
    path = ghostify.save(ghost, tmp_path / "out").path
    other = ghostify.convert(small_net, image, ratio=4).eval()
    moves = []
    replace = os.replace

    def stop(*places):
        if len(moves) == moved:
            raise KeyboardInterrupt
        moves.append(places)
        replace(*places)

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr("os.replace", stop)
        ghostify.save(other, path, force=True)
    assert len(moves) == moved
    again = ghostify.load(path, small_net.eval())
    assert torch.equal(again(image), other(image))
    assert sorted(file.name for file in path.iterdir()) == ["ghostify.json", "model.safetensors"]


@pytest.mark.parametrize(
    ("name", "new"),
    [
        ("out", "out-recovered"),
        ("out-recovered", "out-recovered-2"),
        ("out-recovered-2", "out-recovered-3"),
        ("out-recalibrated", "out-recalibrated-recovered"),
    ],
)
def test_the_folder_beside(name, new):
    assert beside(Path("some") / name, "recovered") == Path("some") / new


def test_the_recipe_says_when_it_was_made(small_net, image, tmp_path):
    before = datetime.now(UTC).replace(microsecond=0)
    saved = ghostify.save(ghostify.convert(small_net, image), tmp_path / "out")
    assert before <= datetime.fromisoformat(read_recipe(saved.path).created) <= datetime.now(UTC)


def test_an_example_is_asked_for_where_no_input_size_is_known(small_net, image, tmp_path):
    converted = ghostify.convert(small_net, image)
    for source in (None, ModelSource("net.py:build")):
        saved = ghostify.save(converted, tmp_path / "out", source=source, force=True)
        with pytest.raises(GhostifyError, match="does not say its input size: pass `example`"):
            _ = Artifact(saved.path, small_net).example
