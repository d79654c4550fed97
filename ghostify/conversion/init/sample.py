"""Inputs and targets of a convolution at positions drawn at random."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ghostify.conversion.init.conv_call import ConvCall
from ghostify.conversion.init.scratch import scratch

_CHUNK_BYTES = 2**24


def draw_positions(seed: str, shape: tuple[int, int, int], number: int) -> Tensor:
    """Draw ``(number, 3)`` positions from ``shape``: image, row and column; all if fewer."""
    total = math.prod(shape)
    generator = torch.Generator().manual_seed(zlib.crc32(seed.encode()))
    if number >= total:
        flat = torch.arange(total)
    else:
        flat = torch.randint(total, (number,), generator=generator)
    return torch.stack(torch.unravel_index(flat, shape), 1).int()


def values_at(feature_maps: Tensor, positions: Tensor) -> Tensor:
    """``(N, n, ...)``: values of ``(B, n, H, W, ...)`` at positions ``(N, 3)``."""
    image, row, column = positions.to(feature_maps.device).unbind(1)
    return feature_maps[image, :, row, column]


def patches_at(call: ConvCall, positions: Tensor) -> Tensor:
    """``(N, c, k, k')``: what the filters of a convolution read at positions ``(N, 3)``."""
    dilated = _windows_at(call, _window(call, 1)[0], positions)
    return dilated[:, :, :: call.dilation[0], :: call.dilation[1]]


@dataclass
class Sample:
    """Windows of a convolution's input, and its targets, at N positions of its output.

    Attributes:
        windows: ``(N, c, K, K')``, the input of the d x d outputs around a position; channels
            last in memory.
        valid: ``(N, d, d)``, 0 where such an output lies outside of the feature map.
        targets: ``(N, n)``, the original's output at the position, before normalization.
        stride, dilation: of the convolution over a window.
        dw_size: d.
        device: of the model. The sample itself is in files and memory of the CPU.
    """

    windows: Tensor
    valid: Tensor
    targets: Tensor
    stride: tuple[int, int]
    dilation: tuple[int, int]
    dw_size: int
    device: torch.device

    def __len__(self) -> int:
        return len(self.targets)

    def chunks(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield `at` for a few MB of positions at a time."""
        numbers = max(self.windows[0].numel(), self.targets.shape[1] * self.dw_size**2, 1)
        size = max(_CHUNK_BYTES // (4 * numbers), 1)
        for start in range(0, len(self), size):
            yield self.at(slice(start, start + size))

    def at(self, rows: slice | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Windows, validity and targets of some positions on the model's device."""
        parts = self.windows[rows], self.valid[rows], self.targets[rows]
        windows, valid, targets = (part.to(self.device) for part in parts)
        return windows, valid, targets

    def select(self, rows: slice) -> Sample:
        windows, valid, targets = self.windows[rows], self.valid[rows], self.targets[rows]
        return replace(self, windows=windows, valid=valid, targets=targets)

    def thinned(self, number: int) -> Sample:
        """At most ``number`` positions, evenly spread."""
        return self.select(slice(None, None, -(-len(self) // number)))

    def patches(self, windows: Tensor, weight: Tensor) -> Tensor:
        """``(N, c, k, k')``: the part of each window that filters read for the position itself."""
        starts = [self.dw_size // 2 * stride for stride in self.stride]
        rows, columns = (
            slice(start, start + dilation * (side - 1) + 1, dilation)
            for start, dilation, side in zip(starts, self.dilation, weight.shape[2:], strict=True)
        )
        return windows[:, :, rows, columns]

    def outputs(self, windows: Tensor, weight: Tensor) -> Tensor:
        """``(N, n)``: outputs of filters at the positions, without bias."""
        patches = self.patches(windows, weight)
        groups = patches.shape[1] // weight.shape[1]
        return F.conv2d(patches, weight, groups=groups)[:, :, 0, 0]

    def outputs_around(
        self, windows: Tensor, valid: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        """``(N, m, d, d)``: outputs around each position, zero outside of the feature map."""
        z = F.conv2d(windows, weight, bias, self.stride, 0, self.dilation)
        return z * valid[:, None]


class Sampler:
    """Collects a `Sample` of at most ``capacity`` positions from calls of a convolution."""

    def __init__(self, dw_size: int, capacity: int) -> None:
        self.dw_size = dw_size
        self.capacity = capacity
        self.filled = 0
        self._sample: Sample | None = None

    def add(self, call: ConvCall, positions: Tensor, targets: Tensor) -> None:
        """Add the windows of ``call`` at ``positions`` ``(N, 3)`` with ``targets`` ``(N, n)``."""
        pixels, stride = _window(call, self.dw_size)
        windows = _windows_at(call, pixels, positions)
        if self._sample is None:
            channels, height, width = windows.shape[1:]
            self._sample = Sample(
                scratch((self.capacity, height, width, channels)).permute(0, 3, 1, 2),
                torch.empty(self.capacity, self.dw_size, self.dw_size),
                torch.empty(self.capacity, targets.shape[1]),
                stride,
                call.dilation,
                self.dw_size,
                call.x.device,
            )
        end = min(self.filled + len(windows), self.capacity)
        added, number = self._sample.select(slice(self.filled, end)), end - self.filled
        added.windows.copy_(windows[:number])
        added.valid.copy_(_valid_at(call.output_shape, positions[:number], self.dw_size))
        added.targets.copy_(targets[:number])
        self.filled = end

    def sample(self) -> Sample | None:
        """All that was added, None without any."""
        if self._sample is None or not self.filled:
            return None
        return self._sample.select(slice(self.filled))


def _window(call: ConvCall, dw_size: int) -> tuple[list[Tensor], tuple[int, int]]:
    """Rows and columns of a window relative to its position, and the stride over it.

    With a 1x1 kernel, a window holds only the pixels that the d x d outputs read.
    """
    pixels, strides = [], []
    for size, stride, dilation in zip(
        call.weight.shape[2:], call.stride, call.dilation, strict=True
    ):
        reach, step = dw_size // 2 * stride, stride if size == 1 else 1
        pixels.append(torch.arange(-reach, reach + dilation * (size - 1) + 1, step))
        strides.append(stride // step)
    return pixels, (strides[0], strides[1])


def _windows_at(call: ConvCall, pixels: list[Tensor], positions: Tensor) -> Tensor:
    """``(N, c, K, K')``; pixels outside of the input repeat the border, and are not valid."""
    rows, columns = (
        (at[:, None] * stride + offsets).clamp(0, size - 1)
        for at, stride, offsets, size in zip(
            positions[:, 1:].unbind(1), call.stride, pixels, call.x.shape[-2:], strict=True
        )
    )
    channels_last = call.x.permute(0, 2, 3, 1).contiguous()
    windows = channels_last[positions[:, 0, None, None], rows[:, :, None], columns[:, None]]
    return windows.permute(0, 3, 1, 2).float()


def _valid_at(shape: tuple[int, int, int], positions: Tensor, dw_size: int) -> Tensor:
    """``(N, d, d)``: which outputs around the positions lie inside."""
    at = positions[:, 1:, None] + torch.arange(dw_size) - dw_size // 2
    down, across = ((at >= 0) & (at < torch.tensor(shape[1:])[:, None])).unbind(1)
    return (down[:, :, None] & across[:, None]).float()
