"""The table of channel-wise operations holds what it claims."""

import pytest
import torch

from ghostify.analysis.channelwise_ops import CHANNELWISE, is_channelwise, out_of_place

aten = torch.ops.aten
SECOND = {"add": (2.0,), "sub": (2.0,), "mul": (2.0,), "div": (2.0,), "clamp": (0.1,),
          "dropout": (0.5, False), "avg_pool2d": ([2, 2],), "max_pool2d": ([2, 2],),
          "max_pool2d_with_indices": ([2, 2],), "adaptive_avg_pool2d": ([2, 2],),
          "_adaptive_avg_pool2d": ([2, 2],), "upsample_nearest2d": ([8, 8],),
          "upsample_bilinear2d": ([8, 8], False), "upsample_bicubic2d": ([8, 8], False),
          "rsub": (2.0,), "reflection_pad2d": ([1, 0, 1, 0],)}  # fmt: skip


@pytest.mark.parametrize("packet", sorted(CHANNELWISE, key=str), ids=str)
def test_channels_can_be_permuted_before_or_after(packet):
    x, order = torch.randn(2, 5, 4, 4), torch.randperm(5)
    arguments = SECOND.get(packet.__name__, ())
    before, after = packet(x[:, order], *arguments), packet(x, *arguments)
    if isinstance(after, tuple):
        before, after = before[0], after[0]
    assert torch.equal(before, after[:, order])


@pytest.mark.parametrize(
    ("operation", "args", "expected"),
    [
        (aten.relu_.default, (None,), True),
        (aten.add_.Tensor, (None, 1), True),
        (aten.mean.dim, (None, [2, 3], True), True),
        (aten.mean.dim, (None, [-1, -2]), True),
        (aten.mean.dim, (None, [1]), False),
        (aten.mean.dim, (None, [0]), False),
        (aten.mean.dim, (None, [2, -4]), False),
        (aten.mean.default, (None,), False),
        (aten.constant_pad_nd.default, (None, [1, 1, 0, 2]), True),
        (aten.constant_pad_nd.default, (None, [0, 0, 0, 0, 1, 1]), False),
        (aten._softmax.default, (None, 1, False), False),
        (None, (), False),
    ],
)
def test_the_verdict(operation, args, expected):
    assert is_channelwise(operation, args, 4) is expected


def test_variants_in_place():
    assert out_of_place(aten.relu_.default) is aten.relu.default
    assert out_of_place(aten.add_.Tensor) is aten.add.Tensor
    assert out_of_place(aten.relu.default) is aten.relu.default
    assert out_of_place(aten.fill_.Scalar) is aten.fill.Scalar
