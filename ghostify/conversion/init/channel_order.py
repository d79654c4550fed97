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

_ROUNDING = 1e-13

_CANDIDATES = 64
"""Channels among which the next ones to drop are searched, at least."""


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
    it. Of more than 64 channels, it is searched in rounds among those that cost least at the
    beginning of the round: an eighth of all that are left, of which half are dropped. The last
    channel stays.
    """
    states = [_Elimination(reader) for reader in readers]
    order: list[int] = []
    increases: list[float] = []
    left = torch.arange(readers[0].weight.shape[1])
    total = 0.0
    while len(left) > 1:
        few = max(_CANDIDATES, len(left) // 8)
        cheapest = _total([state.costs() for state in states]).argsort(stable=True)[:few]
        among = [state.restricted(cheapest) for state in states]
        dropped: list[int] = []
        for _ in range(len(left) - 1 if few >= len(left) else few // 2):
            cost = _total([part.costs() for part in among])
            cost[dropped] = torch.inf
            place = int(cost.argmin())
            total += max(float(cost[place]), 0.0)
            dropped.append(place)
            increases.append(total)
            for part in among:
                part.drop(place)
        gone = cheapest[dropped]
        order += left[gone].tolist()
        kept = torch.ones(len(left), dtype=torch.bool)
        kept[gone] = False
        left = left[kept]
        if len(left) > 1:
            for state in states:
                state.remove(gone, kept)
    return (*order, int(left[0])), tuple(increases)


def _total(costs: Sequence[Tensor]) -> Tensor:
    return torch.stack([cost.cpu() for cost in costs]).sum(0)


class _Elimination:
    """Weights and inverse covariance P of one reader while rounds of channels are dropped."""

    def __init__(self, reader: Reader) -> None:
        weight = reader.weight.double()
        outputs, channels, self.taps = weight.shape
        flat = weight.reshape(outputs, -1)
        covariance = reader.covariance
        diagonal = covariance.diagonal()
        diagonal += _RIDGE * diagonal.mean() + torch.finfo(torch.float64).tiny
        if outputs > len(covariance) and flat.any():  # costs depend on W^T W alone
            gram = flat.T @ flat
            gram.diagonal().add_(_ROUNDING * gram.diagonal().mean())
            flat = torch.linalg.cholesky(gram).T
        self.weight = flat.T.reshape(channels, self.taps, -1).contiguous()  # (c, t, o)
        self.inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance))

    def costs(self) -> Tensor:
        """``(c,)``: cost of dropping each channel first."""
        return _costs(_blocks(self.inverse, self.taps), self.weight @ self.weight.mT)

    def restricted(self, channels: Tensor) -> _Candidates:
        """Return what the costs of some channels depend on while only these are dropped."""
        inputs = self._inputs(channels)
        weight = self.weight.flatten(0, 1)[inputs]
        return _Candidates(self.inverse[inputs][:, inputs], weight @ weight.T, self.taps)

    def remove(self, channels: Tensor, kept: Tensor) -> None:
        """Drop ``channels`` and let those that are ``kept`` make up for them."""
        gone, stay = self._inputs(channels), self._inputs(kept.nonzero()[:, 0])
        weight = self.weight.flatten(0, 1)
        rows = self.inverse[gone]
        root = torch.linalg.cholesky(rows[:, gone])
        between = torch.linalg.solve_triangular(root, rows[:, stay], upper=False)
        lost = torch.linalg.solve_triangular(root, weight[gone], upper=False)
        self.weight = (
            weight[stay].addmm_(between.T, lost, alpha=-1).view(-1, self.taps, weight.shape[1])
        )
        self.inverse = self.inverse[stay][:, stay].addmm_(between.T, between, alpha=-1)

    def _inputs(self, channels: Tensor) -> Tensor:
        """The places of the inputs of some channels."""
        first = channels[:, None] * self.taps
        return (first + torch.arange(self.taps)).flatten().to(self.inverse.device)


@dataclass
class _Candidates:
    """Blocks of the inverse covariance P and of G = W W^T, for some channels.

    Attributes:
        inverse, gram: ``(k t, k t)``.
        taps: t.
    """

    inverse: Tensor
    gram: Tensor
    taps: int

    def costs(self) -> Tensor:
        """``(k,)``: cost of dropping each; of no meaning for those that are dropped."""
        return _costs(_blocks(self.inverse, self.taps), _blocks(self.gram, self.taps))

    def drop(self, channel: int) -> None:
        """Subtract what the other channels make up for: P -= P_:J S and W -= S^T W_J.

        S is (P_JJ)^-1 P_J:. A dropped channel keeps a unit block in P and zeros elsewhere.
        """
        here = slice(channel * self.taps, (channel + 1) * self.taps)
        rows = self.inverse[here].clone()
        solved = torch.linalg.solve(rows[:, here], rows)
        self.inverse.addmm_(rows.T, solved, alpha=-1)
        products = self.gram[here].clone()
        half = products - products[:, here] @ solved / 2
        self.gram.addmm_(solved.T, half, alpha=-1).addmm_(half.T, solved, alpha=-1)
        self.inverse[here] = self.inverse[:, here] = self.gram[here] = self.gram[:, here] = 0
        self.inverse.diagonal()[here] = 1


def _costs(inverse: Tensor, squares: Tensor) -> Tensor:
    """``(c,)``: tr(P_JJ^-1 W_J W_J^T) of diagonal blocks ``(c, t, t)``."""
    solved: Tensor = torch.linalg.solve(inverse, squares)
    return solved.diagonal(dim1=1, dim2=2).sum(1)


def _blocks(matrix: Tensor, taps: int) -> Tensor:
    """``(c, t, t)``: the diagonal blocks of ``(c t, c t)``."""
    channels = len(matrix) // taps
    blocks = matrix.view(channels, taps, channels, taps)
    return blocks.diagonal(dim1=0, dim2=2).permute(2, 0, 1)
