"""Order in which channels can be dropped: Optimal Brain Surgeon in blocks of one channel.

Dropping input channel J of a layer costs tr(W_J ([C^-1]_JJ)^-1 W_J^T), what remains of the error
after the other channels have made up for it (Hassibi and Stork, NIPS 1992; for groups of weights
Kurtic et al., arXiv 2302.04089). C is the covariance of the layer's inputs; rows of W are weighted
by the importance of the outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_RIDGE = 1e-3
"""Added to the covariance, relative to its mean diagonal."""

_BLOCK = 32
"""Channels after which the inverse covariance is updated, in one matrix product."""


@dataclass
class Reader:
    """A layer that mixes channels, with what is known of its inputs.

    Attributes:
        weight: ``(o, c, t)``, times the square root of the importance of the outputs; t inputs
            belong to each channel.
        covariance: ``(c t, c t)``, of the inputs, in float64. It is overwritten.
    """

    weight: Tensor
    covariance: Tensor


def channel_order(readers: Sequence[Reader]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the order in which channels are dropped, and the running sum of the costs.

    Each step drops the channel that costs least over all readers, and lets the others make up for
    it. The last channel stays.
    """
    states = [_Elimination(reader) for reader in readers]
    channels = readers[0].weight.shape[1]
    order: list[int] = []
    increases: list[float] = []
    left = torch.arange(channels)
    total = 0.0
    while len(left) > 1:
        for _ in range(min(_BLOCK, len(left) - 1)):
            cost = torch.stack([state.costs().cpu() for state in states]).sum(0)
            place = int(cost.argmin())
            total += max(float(cost[place]), 0.0)
            order.append(int(left[place]))
            increases.append(total)
            for state in states:
                state.drop(place)
        kept, *_ = [state.compress() for state in states]
        left = left[kept.cpu()]
    return (*order, int(left[0])), tuple(increases)


class _Elimination:
    """Weights and inverse covariance of one reader while channels are dropped.

    The inverse P changes by P -= P_:J (P_JJ)^-1 P_J:. The products of a block of channels are kept
    as factors, so that a step computes only rows of the next channel and the diagonal blocks.
    """

    def __init__(self, reader: Reader) -> None:
        weight = reader.weight.double()
        self.taps = weight.shape[2]
        outputs, inputs = len(weight), weight[0].numel()
        flat = weight.reshape(outputs, inputs)
        if outputs > inputs:  # costs depend on W^T W alone
            flat = torch.linalg.qr(flat, mode="r")[1]
        self.weight = flat.T.reshape(-1, self.taps, len(flat)).contiguous()  # (c, t, o)
        covariance = reader.covariance
        diagonal = covariance.diagonal()
        diagonal += _RIDGE * diagonal.mean() + torch.finfo(torch.float64).tiny
        self.inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
        self.dropped = torch.zeros(len(self.weight), dtype=torch.bool, device=flat.device)
        self.rows: list[Tensor] = []
        self.solved: list[Tensor] = []
        self.blocks = self._diagonal_blocks()

    def costs(self) -> Tensor:
        """``(c,)``: cost of dropping each channel; infinite for those that are dropped."""
        squares = self.weight @ self.weight.transpose(1, 2)
        solved: Tensor = torch.linalg.solve(self.blocks, squares)
        cost = solved.diagonal(dim1=1, dim2=2).sum(1)
        return cost.masked_fill(self.dropped, torch.inf)

    def drop(self, channel: int) -> None:
        """Drop a channel by its place among those that `compress` left."""
        here = slice(channel * self.taps, (channel + 1) * self.taps)
        rows = self.inverse[here].clone()
        for earlier, solved in zip(self.rows, self.solved, strict=True):
            rows -= earlier[:, here].T @ solved
        solved = torch.linalg.solve(rows[:, here], rows)
        by_channel = (m.view(self.taps, -1, self.taps).transpose(0, 1) for m in (rows, solved))
        row_blocks, solved_blocks = by_channel
        self.weight -= solved_blocks.transpose(1, 2) @ self.weight[channel].clone()
        self.blocks -= row_blocks.transpose(1, 2) @ solved_blocks
        self.dropped[channel] = True
        self.blocks[self.dropped] = torch.eye(self.taps, dtype=rows.dtype, device=rows.device)
        self.rows.append(rows)
        self.solved.append(solved)

    def compress(self) -> Tensor:
        """Apply the factors, remove dropped channels, and return ``(c,)``: which ones were left."""
        kept = ~self.dropped
        inputs = kept.repeat_interleave(self.taps)
        rows, solved = (torch.cat(m)[:, inputs] for m in (self.rows, self.solved))
        self.inverse = self.inverse[inputs][:, inputs]
        self.inverse.addmm_(rows.T, solved, alpha=-1)
        self.weight, self.dropped = self.weight[kept], self.dropped[kept]
        self.rows, self.solved = [], []
        self.blocks = self._diagonal_blocks()
        return kept

    def _diagonal_blocks(self) -> Tensor:
        channels = len(self.weight)
        blocks = self.inverse.view(channels, self.taps, channels, self.taps)
        return blocks.diagonal(dim1=0, dim2=2).permute(2, 0, 1).contiguous()
