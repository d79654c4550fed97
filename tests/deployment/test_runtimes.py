"""Every runtime computes what the network does, and leaves nothing behind."""

import tempfile

import pytest
import torch

import ghostify
from ghostify import GhostifyError
from ghostify.deployment import RUNTIMES, runtime_named


@pytest.fixture(params=[n for n in RUNTIMES if n != "compile"])
def name(request):
    try:
        RUNTIMES[request.param].check_installed()
    except GhostifyError as error:
        pytest.skip(str(error))
    return request.param


def outputs(name, network, example, tensors):
    with RUNTIMES[name].prepare(network, example) as opened, opened(1) as session:
        return [leaf.clone() for leaf in session(tensors)]


def test_sessions_give_what_the_network_gives(name, small_net, image, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ghost = ghostify.convert(small_net, image)
    example = torch.randn(2, 3, 16, 16)
    (found,) = outputs(name, ghost, example, [example])
    expected = ghost.eval()(example)
    error = (found - expected).abs().max() / expected.abs().max()
    assert 1e-4 < error < 0.1 if name.endswith("int8") else error < 1e-5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_torch_compile(small_net, image):
    ghost = ghostify.convert(small_net, image)
    for module in ghost.modules():
        if isinstance(module, ghostify.GhostModule):
            module.order = torch.randperm(module.out_channels)
    found = outputs("compile", ghost, image, [image])
    torch.testing.assert_close(found, [ghost.eval()(image)], rtol=1e-4, atol=1e-5)


class Named(torch.nn.Module):
    def forward(self, a, b):
        return {"difference": a - b, "both": [a, b.relu()]}


def test_inputs_by_name_and_nested_outputs(name):
    example = {"b": torch.randn(1, 3), "a": torch.randn(1, 3)}
    b, a = example.values()
    found = outputs(name, Named(), example, [b, a])
    assert len(found) == 3
    tolerance = 0.05 if name.endswith("int8") else 1e-5
    torch.testing.assert_close(found[0], a - b, rtol=0, atol=tolerance)


def test_threads_of_torch_are_given_back():
    before = torch.get_num_threads()
    with (
        RUNTIMES["eager"].prepare(torch.nn.Identity(), torch.ones(1)) as opened,
        opened(before + 1),
    ):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_an_unknown_name():
    with pytest.raises(GhostifyError, match="unknown runtime 'tvm': known are eager, compile,"):
        runtime_named("tvm")
