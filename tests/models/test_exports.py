"""Every network to ONNX, which an export verifies against the network before the file is there."""

import pytest
import torch

import ghostify
from ghostify import models
from ghostify.models.libraries import NETWORKS
from ghostify.types import ModelSource

pytest.importorskip("onnxruntime", reason="runtimes are an extra")
pytest.importorskip("onnxscript", reason="runtimes are an extra")

GHOSTNETS = [name for name in NETWORKS if name.startswith("ghostnet") and "_" in name]


def exported(name, path, lived_in):
    network = lived_in(models.build(ModelSource(f"ghostify:{name}"))[0])
    return ghostify.export(network, torch.randn(1, 3, 224, 224), path)


def test_all_are_there():
    assert len(GHOSTNETS) == 10


@pytest.mark.slow
@pytest.mark.parametrize("name", GHOSTNETS)
def test_onnx(name, tmp_path, lived_in):
    found = exported(name, tmp_path / "net.onnx", lived_in)
    assert found.max_relative_error < 1e-4
    assert found.batch is None, found.note


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ghostnet_050", "ghostnetv2_100", "ghostnetv3_050"])
@pytest.mark.parametrize("ending", [".xml", ".pt2"])
def test_other_forms(name, ending, tmp_path, lived_in):
    if ending == ".xml":
        pytest.importorskip("openvino", reason="runtimes are an extra")
    assert exported(name, tmp_path / f"net{ending}", lived_in).max_relative_error < 1e-4
