import pytest
import torch

from ghostify import GhostifyError, models
from ghostify.models.libraries import NETWORKS
from ghostify.types import ModelSource


def test_names_have_the_prefix():
    assert {f"ghostify:{name}" for name in NETWORKS} <= set(models.names())


def test_the_input_size_is_the_networks_own():
    assert models.build(ModelSource("ghostify:ghostnet_100"))[1].input_size == (3, 224, 224)
    gray = ModelSource("ghostify:ghostnet_100", {"in_channels": 1, "num_classes": 10})
    assert models.build(gray)[1].input_size == (1, 224, 224)


def test_a_width_as_argument():
    model, _ = models.build(ModelSource("ghostify:ghostnet", {"width": 1.1}))
    assert model.conv_stem.out_channels == 16
    assert model.blocks[8][3].out_channels == 176


def test_a_number_out_of_range():
    with pytest.raises(GhostifyError, match="ghostify:ghostnet cannot be built: `width`"):
        models.build(ModelSource("ghostify:ghostnet", {"width": -1}))


@pytest.mark.parametrize("name", ["ghostnetv2_130", "retinanet_ghostnet_110"])
def test_a_width_beside_that_of_the_name(name):
    family = name.rpartition("_")[0]
    with pytest.raises(GhostifyError, match=f"the width is in its name: use ghostify:{family}"):
        models.build(ModelSource(f"ghostify:{name}", {"width": 1.0}))


def test_published_weights_come_from_timm(monkeypatch):
    timm = pytest.importorskip("timm", reason="timm is an extra")
    create, made = timm.create_model, []

    def random_instead(name, pretrained, **options):
        assert pretrained
        made.append(create(name, **options))
        return made[-1]

    monkeypatch.setattr(timm, "create_model", random_instead)
    source = ModelSource("ghostify:ghostnet_100", {"num_classes": 10, "in_channels": 1})
    model, _ = models.build(source, pretrained=True)
    assert torch.equal(model.conv_stem.weight, made[0].conv_stem.weight)


def test_no_weights_are_published():
    pytest.importorskip("timm", reason="timm is an extra")
    with pytest.raises(GhostifyError, match="no published weights: load a file with load_weights"):
        models.build(ModelSource("ghostify:ghostnet_050"), pretrained=True)


def test_weights_without_timm(monkeypatch):
    monkeypatch.setattr("ghostify.models.libraries.find_spec", lambda name: None)
    with pytest.raises(GhostifyError, match="pip install timm"):
        models.build(ModelSource("ghostify:ghostnet_100"), pretrained=True)
