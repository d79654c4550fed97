"""One result in eager mode and in every graph; plain operations in graphs."""

import pytest
import torch
from torch import nn

from ghostify.nn.affine import ChannelAffine
from ghostify.nn.channel_ops import (
    first_channels,
    is_recorded,
    permute_channels,
    scale_channels,
    scatter_channels,
)

FEATURES = torch.arange(2 * 4 * 3 * 5.0).view(2, 4, 3, 5)
ORDER = torch.tensor([2, 0, 3, 1])


def test_channel_j_is_entry_j_of_the_order():
    assert torch.equal(permute_channels(FEATURES, ORDER), FEATURES[:, ORDER])
    assert torch.equal(permute_channels(FEATURES, ORDER, ORDER.argsort()), FEATURES[:, ORDER])
    assert torch.equal(permute_channels(FEATURES[0], ORDER), FEATURES[0, ORDER])
    assert torch.equal(scatter_channels(FEATURES, ORDER)[:, ORDER], FEATURES)


def test_a_known_rank_is_used():
    assert torch.equal(permute_channels(FEATURES, ORDER, torch.arange(4)), FEATURES)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_memory_format_stays(memory_format):
    features = FEATURES.contiguous(memory_format=memory_format)
    assert permute_channels(features, ORDER).is_contiguous(memory_format=memory_format)


def test_a_scale_and_a_shift_for_each_channel():
    scale, shift = torch.tensor([1.0, 2, 0, -1]), torch.tensor([0.0, 1, 5, 0])
    found = scale_channels(FEATURES, scale, shift)
    assert torch.equal(found, FEATURES * scale.view(4, 1, 1) + shift.view(4, 1, 1))
    assert torch.equal(scale_channels(FEATURES[0], scale, shift), found[0])


class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine = ChannelAffine(torch.randn(4), torch.randn(4))
        self.register_buffer("order", ORDER)

    def forward(self, x):
        return permute_channels(self.affine(x), self.order)


READERS = {
    "torch.jit.trace": lambda net, x: torch.jit.trace(net, x).inlined_graph,
    "torch.jit.script": lambda net, x: torch.jit.script(net).inlined_graph,
    "torch.fx": lambda net, x: torch.fx.symbolic_trace(net).graph,
    "torch.export": lambda net, x: torch.export.export(net, (x,)).graph,
    "torch.export, strict": lambda net, x: torch.export.export(net, (x,), strict=True).graph,
}


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("dims", [3, 4])
@pytest.mark.parametrize("reader", READERS)
def test_readers_see_plain_operations(reader, dims):
    graph = str(READERS[reader](Both(), FEATURES if dims == 4 else FEATURES[0]))
    assert "index_copy" not in graph
    assert "addcmul" not in graph
    traced = reader == "torch.jit.trace"  # ncnn has no index_select
    assert ("index_select" in graph) != traced
    assert ("split" in graph and "cat" in graph) == traced
    normed = (traced or "export" in reader) and dims == 4  # runtimes fuse it
    assert ("batch_norm" in graph) == normed
    assert ("mul" in graph and "add" in graph) != normed


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize(
    ("order", "runs"),
    [([0, 1, 2, 3], 1), ([2, 3, 0, 1], 2), ([3, 0, 1, 2], 2), ([3, 2, 1, 0], 4), ([1, 0, 2, 3], 3)],
)
def test_a_trace_concatenates_runs_of_channels(order, runs):
    order = torch.tensor(order)
    traced = torch.jit.trace(lambda x: permute_channels(x, order), FEATURES)
    assert torch.equal(traced(FEATURES + 1), FEATURES[:, order] + 1)
    assert str(traced.inlined_graph).count("split_with_sizes") == 1
    (concatenated,) = (n for n in traced.inlined_graph.nodes() if n.kind() == "aten::cat")
    assert len([*next(concatenated.inputs()).node().inputs()]) == runs


def test_the_first_channels():
    assert torch.equal(first_channels(FEATURES, 3, 4), FEATURES[:, :3])
    assert torch.equal(first_channels(FEATURES[0], 1, 4), FEATURES[0, :1])
    assert first_channels(FEATURES, 4, 4) is FEATURES


def test_nothing_records_in_eager_mode():
    assert not is_recorded(FEATURES)
