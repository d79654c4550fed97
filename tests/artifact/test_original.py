"""An artifact finds the weights of its original, and takes no others."""

import shutil
from dataclasses import replace

import pytest
import torch

import ghostify
from ghostify import Artifact, GhostifyError, models
from ghostify.io.recipe import read_recipe
from ghostify.models.identity import is_untrained
from ghostify.types import ModelSource, OriginalWeights
from ghostify.types.errors import GhostifyWarning

from ..conftest import SmallNet

DATA = [torch.rand(4, 3, 16, 16)]


@pytest.fixture
def folder(small_net, image, tmp_path):
    """An artifact in ``out``, made from the weights in ``net.pt`` beside it."""
    torch.save(small_net.state_dict(), tmp_path / "net.pt")
    ghost = ghostify.convert(small_net, image)
    return ghostify.save(ghost, tmp_path / "out", weights=tmp_path / "net.pt").path


def opened(folder, **options):
    """The artifact, with a network whose weights are random."""
    return Artifact(folder, SmallNet(), example=torch.zeros(1, 3, 16, 16), **options)


def test_recorded_weights_are_used_unasked(folder, small_net):
    artifact = opened(folder)
    evaluation = artifact.evaluate(DATA, device="cpu")
    assert evaluation.rows["original"].score.relative_error == 0
    for name, tensor in small_net.state_dict().items():
        assert torch.equal(artifact.teacher.state_dict()[name], tensor)
    assert artifact.compare(data=DATA).fidelity.score.images == 4
    assert artifact.recover(DATA, epochs=1, validation=DATA)[1].steps == 1


def test_the_path_is_relative_so_that_both_can_move(folder, tmp_path):
    assert read_recipe(folder).original.file == "../net.pt"
    (tmp_path / "new").mkdir()
    for name in ("out", "net.pt"):
        shutil.move(tmp_path / name, tmp_path / "new" / name)
    assert opened(tmp_path / "new" / "out").teacher


def test_a_file_that_load_weights_read_is_recorded(small_net, image, tmp_path):
    torch.save(small_net.state_dict(), tmp_path / "net.pt")
    network = SmallNet()
    models.load_weights(network, tmp_path / "net.pt")
    saved = ghostify.save(ghostify.convert(network, image), tmp_path / "deep" / "out")
    assert read_recipe(saved.path).original.file == "../../net.pt"
    again = ghostify.save(ghostify.load(saved, SmallNet()), tmp_path / "again")
    assert read_recipe(again.path).original.file == "../net.pt"


def test_weights_that_were_loaded_in_part_are_loaded_so_again(small_net, image, tmp_path):
    state = small_net.state_dict()
    scale = state.pop("norm.weight")  # one, as in a new network
    torch.save(state, tmp_path / "net.pt")
    network = SmallNet()
    models.load_weights(network, tmp_path / "net.pt", partial=True)
    saved = ghostify.save(ghostify.convert(network, image), tmp_path / "out")
    assert torch.equal(opened(saved.path).teacher.norm.weight, scale)
    state["stem.bias"] += 1
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(GhostifyError, match=r"other.pt has other weights than the network"):
        _ = opened(saved.path, weights=tmp_path / "other.pt").teacher


@pytest.mark.parametrize(
    ("change", "problem"),
    [(lambda file: file.unlink(), "not there"), (lambda file: file.write_bytes(b"0"), "changed")],
)
def test_a_file_that_is_not_the_recorded_one_is_named(folder, tmp_path, change, problem):
    change(tmp_path / "net.pt")
    message = (
        rf"converted from the weights in .*net.pt \(SHA-256 \w{{8}}\.\.\.\), which .*{problem}"
    )
    for call in (
        lambda: opened(folder).recover(DATA),
        lambda: opened(folder).compare(data=DATA),
        lambda: opened(folder).sensitivity(),
        lambda: opened(folder).search(budget="macs=0.8", calibration=DATA),
    ):
        with pytest.raises(GhostifyError, match=message):
            call()
    with pytest.warns(GhostifyWarning, match=message):
        opened(folder).record_feature_maps(DATA[0][:1])
    labeled = [(DATA[0], torch.arange(4))]
    with pytest.warns(GhostifyWarning, match=message):
        assert list(opened(folder).evaluate(labeled, device="cpu").rows) == ["converted"]


def test_what_needs_no_weights_reads_none(folder, tmp_path):
    (tmp_path / "net.pt").unlink()
    artifact = opened(folder)
    artifact.export(tmp_path / "ghost.pt2")
    artifact.benchmark(seconds=0)
    artifact.compare()


def test_other_weights_are_refused(folder, small_net, tmp_path):
    small_net.head.bias.data += 1
    torch.save(small_net.state_dict(), tmp_path / "other.pt")
    example = torch.zeros(1, 3, 16, 16)
    (tmp_path / "net.pt").rename(tmp_path / "moved.pt")
    for artifact, message in (
        (opened(folder, weights=tmp_path / "other.pt"), "other.pt has other weights than the "),
        (Artifact(folder, small_net, example=example), "`original` has other .*: pass `weights`"),
    ):
        for call in (artifact.evaluate, artifact.recover):
            with pytest.raises(GhostifyError, match=message):
                call(DATA)
        with pytest.raises(GhostifyError, match=message):
            artifact.compare(data=DATA)
    (tmp_path / "moved.pt").rename(tmp_path / "net.pt")
    with pytest.raises(GhostifyError, match="`force=True`"):
        opened(folder).recover(DATA, teacher_weights=tmp_path / "other.pt")
    forced = opened(folder).recover(
        DATA, teacher_weights=tmp_path / "other.pt", force=True, epochs=1, validation=DATA
    )
    assert next(iter(forced[2].rows)) == "teacher"
    assert not forced[0].recorded("evaluation")  # agreement with it is not that with the original


def test_recorded_weights_go_before_those_that_the_original_has_of_its_own(folder, small_net):
    """As where a factory loads a backbone, and the network was trained further."""
    expected = {name: tensor.clone() for name, tensor in small_net.state_dict().items()}
    small_net.head.bias.data += 1
    artifact = Artifact(folder, small_net, example=torch.zeros(1, 3, 16, 16))
    with pytest.warns(GhostifyWarning, match=r"the weights in .*net.pt \(SHA-256 .* are used"):
        evaluation = artifact.evaluate(DATA, device="cpu")
    assert evaluation.rows["original"].score.relative_error == 0
    assert all(torch.equal(t, expected[n]) for n, t in artifact.teacher.state_dict().items())


def test_a_conversion_of_a_random_network_says_so(image, tmp_path):
    network = SmallNet()
    artifact = ghostify.save(
        ghostify.convert(network, image), tmp_path / "out", original=network, example=image
    )
    message = "out was converted from a randomly initialized network: convert"
    with pytest.raises(GhostifyError, match=message):
        artifact.recover(DATA)
    with pytest.warns(GhostifyWarning, match=message):
        artifact.evaluate([(DATA[0], torch.arange(4))], device="cpu")
    assert artifact.sensitivity().layers  # of the network as it was


def test_weights_of_a_library_are_built_by_their_name(tmp_path, monkeypatch, as_trained):
    state = as_trained(models.build(ModelSource("squeezenet1_1"))[0]).state_dict()
    asked = []

    def get(weights, *_, **__):
        asked.append(weights.name)
        return state

    monkeypatch.setattr("torchvision.models._api.WeightsEnum.get_state_dict", get)
    source = ModelSource("squeezenet1_1", {}, (3, 64, 64))
    network, source = models.build(source, pretrained=True)
    path = ghostify.save(
        ghostify.convert(network, models.example(source)), tmp_path / "out", source=source
    ).path
    assert read_recipe(path).original.name == "IMAGENET1K_V1"
    ghostify.load(path)
    assert len(asked) == 1
    assert Artifact(path).teacher
    assert asked == ["IMAGENET1K_V1"] * 2


HARMLESS = {"num_classes": 7, "norm_layer": None, "replace_stride_with_dilation": 3 * [False]}


@pytest.mark.parametrize(
    "arguments",
    [
        {"pretrained_cfg_overlay": {"file": "evil.pth"}},
        {"pretrained_cfg": "hf_hub:evil/net"},
        {"num_classes": 7, "cache_dir": "../.."},
        {"out_indices": [1, "http://evil"]},
        {"global_pool": {"url": "http://evil"}},
    ],
)
def test_arguments_that_could_name_a_file_are_not_used(small_net, image, tmp_path, arguments):
    """A library would read the teacher's weights from where a stranger's artifact says."""
    ghost = ghostify.convert(small_net, image)
    replace(OriginalWeights.find(ghost), name="IMAGENET1K_V1").attach(ghost)
    path = ghostify.save(ghost, tmp_path / "out", source=ModelSource("resnet18", arguments)).path
    for use in (
        lambda: Artifact(path).original,
        lambda: ghostify.load(path),
        lambda: Artifact(path, SmallNet()).teacher,
    ):
        with pytest.raises(GhostifyError, match=rf"argument '{list(arguments)[-1]}' of resnet18"):
            use()
    assert ghostify.load(path, small_net)


@pytest.mark.parametrize("arguments", [{}, HARMLESS])
def test_numbers_name_no_file(small_net, image, tmp_path, arguments):
    ghost = ghostify.convert(small_net, image)
    path = ghostify.save(ghost, tmp_path / "out", source=ModelSource("resnet18", arguments)).path
    assert Artifact(path).original.fc.out_features == arguments.get("num_classes", 1000)


class Branches(SmallNet):
    """A small network with a branch beside ``wide``, and a method that merges it."""

    def __init__(self):
        super().__init__()
        self.narrow = torch.nn.Conv2d(16, 32, 1, stride=2, bias=False)

    def forward(self, x):
        x = self.stem(x).relu()
        x = self.norm(self.wide(x) + (self.narrow(x) if self.narrow else 0)).relu()
        return self.head(self.project(self.depthwise(x)).mean((2, 3)))

    def reparameterize(self):
        self.wide.weight.data += torch.nn.functional.pad(self.narrow.weight.data, [1, 1, 1, 1])
        self.narrow = None


@pytest.fixture
def merged(as_trained, image, tmp_path):
    """An artifact whose original was merged, its weights in ``net.pt``, and the original."""
    network = as_trained(Branches()).eval()
    torch.save(network.state_dict(), tmp_path / "net.pt")
    models.load_weights(network, tmp_path / "net.pt")
    original = ghostify.reparameterize(network, image)
    ghost = ghostify.convert(original, image, include="wide")
    return ghostify.save(ghost, tmp_path / "out", example=image), network, original


def test_an_original_that_was_merged_is_merged_again(merged, image):
    saved, network, original = merged
    expected = saved.model(image)
    for given in (Branches().eval(), network, original):
        artifact = Artifact(saved, given, example=image)
        assert torch.equal(artifact.model(image), expected)
        assert artifact.original.narrow is None
        assert torch.equal(artifact.teacher.eval()(image), original(image))
        assert artifact.evaluate(DATA, device="cpu").rows["original"].score.relative_error == 0
    assert torch.equal(ghostify.load(saved, Branches().eval())(image), expected)
    assert network.narrow is not None


def test_its_weights_are_those_before_the_merge(merged, image, tmp_path):
    saved, network, original = merged
    recorded = read_recipe(saved.path).original
    assert recorded.digest == OriginalWeights.find(network).digest
    assert recorded.file == "../net.pt"
    assert recorded.merged
    shutil.move(tmp_path / "net.pt", tmp_path / "moved.pt")
    network.head.bias.data += 1
    with pytest.raises(GhostifyError, match="has other weights than the network"):
        _ = Artifact(saved, network, example=image).teacher
    original.head.bias.data += 1  # after the merge
    with pytest.raises(GhostifyError, match="has other weights than the network"):
        _ = Artifact(saved, original, example=image).teacher
    artifact = Artifact(saved, Branches(), weights=tmp_path / "moved.pt", example=image)
    assert artifact.teacher.narrow is None


def test_a_random_network_stays_random_when_it_is_merged(image):
    network = Branches().eval()
    assert not OriginalWeights.find(ghostify.reparameterize(network)).trained
    network.depthwise.bias.data.fill_(1)
    assert is_untrained(ghostify.reparameterize(network)) == is_untrained(network)
