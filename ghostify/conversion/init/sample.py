"""Inputs and targets of a convolution at positions drawn at random."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ghostify.conversion.init.conv_call import ConvCall, as_pair
from ghostify.conversion.init.scratch import scratch

_CHUNK_BYTES = 2**24


def draw_positions(seed: str, shape: tuple[int, int, int], number: int) -> Tensor:
    """Draw ``(number, 3)`` positions: image, row and column; all if there are fewer.

    Args:
        seed: the same seed gives the same positions.
        shape: images, height and width.
    """
    images, height, width = shape
    total = images * height * width
    generator = torch.Generator().manual_seed(zlib.crc32(seed.encode()))
    if number >= total:
        flat = torch.arange(total)
    else:
        flat = torch.randint(total, (number,), generator=generator)
    return torch.stack([flat // (height * width), flat // width % height, flat % width], 1).int()


def values_at(feature_maps: Tensor, positions: Tensor) -> Tensor:
    """``(N, n)``: the feature maps at positions ``(N, 3)``."""
    image, row, column = positions.to(feature_maps.device).unbind(1)
    return feature_maps[image, :, row, column]


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
        """Yield windows, validity and targets of a few MB on the model's device."""
        numbers = max(self.windows[0].numel(), self.targets.shape[1] * self.dw_size**2, 1)
        size = max(_CHUNK_BYTES // (4 * numbers), 1)
        for start in range(0, len(self), size):
            yield self.at(slice(start, start + size))

    def at(self, rows: slice | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Windows, validity and targets of some positions on the model's device."""
        windows, valid, targets = (
            part[rows].to(self.device) for part in (self.windows, self.valid, self.targets)
        )
        return windows, valid, targets

    def select(self, rows: slice) -> Sample:
        """The sample of some positions."""
        windows, valid, targets = self.windows[rows], self.valid[rows], self.targets[rows]
        return replace(self, windows=windows, valid=valid, targets=targets)

    def thinned(self, number: int) -> Sample:
        """At most ``number`` positions, evenly spread."""
        return self.select(slice(None, None, -(-len(self) // number)))

    def narrowed(self, dw_size: int) -> Sample:
        """The same positions for a smaller cheap kernel."""
        if dw_size == self.dw_size:
            return self
        less = (self.dw_size - dw_size) // 2
        inner = slice(less, self.dw_size - less)
        rows, columns = (slice(less * step, -less * step) for step in self.stride)
        return replace(
            self,
            windows=self.windows[:, :, rows, columns],
            valid=self.valid[:, inner, inner],
            dw_size=dw_size,
        )

    def patches(self, windows: Tensor, kernel: tuple[int, int]) -> Tensor:
        """``(N, c, k, k')``: the part of each window that the position itself is computed from."""
        reach = self.dw_size // 2
        rows, columns = (
            slice(
                reach * self.stride[axis],
                reach * self.stride[axis] + self.dilation[axis] * (kernel[axis] - 1) + 1,
                self.dilation[axis],
            )
            for axis in (0, 1)
        )
        return windows[:, :, rows, columns]

    def outputs(self, windows: Tensor, weight: Tensor) -> Tensor:
        """``(N, n)``: outputs of filters at the positions, without bias."""
        patches = self.patches(windows, (weight.shape[2], weight.shape[3]))
        groups = patches.shape[1] // weight.shape[1]
        return F.conv2d(patches, weight, groups=groups)[:, :, 0, 0]

    def outputs_around(
        self, windows: Tensor, valid: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        """``(N, m, d, d)``: outputs around each position, zero outside of the feature map."""
        z = F.conv2d(windows, weight, bias, self.stride, 0, self.dilation)
        return z * valid[:, None]


class Sampler:
    """Collects a `Sample` from several calls of a convolution.

    Args:
        dw_size: d.
        capacity: the most positions.
    """

    def __init__(self, dw_size: int, capacity: int) -> None:
        self.dw_size = dw_size
        self.capacity = capacity
        self.filled = 0
        self._sample: Sample | None = None

    def add(self, call: ConvCall, positions: Tensor, targets: Tensor) -> None:
        """Add the windows of ``call`` at ``positions`` ``(N, 3)`` with ``targets`` ``(N, n)``."""
        grid = Grid.of(call, self.dw_size)
        windows = _windows_at(call, grid, positions)
        if self._sample is None:
            channels, height, width = windows.shape[1:]
            self._sample = Sample(
                scratch((self.capacity, height, width, channels)).permute(0, 3, 1, 2),
                torch.empty(self.capacity, self.dw_size, self.dw_size),
                torch.empty(self.capacity, targets.shape[1]),
                grid.stride,
                grid.dilation,
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


@dataclass(frozen=True)
class Grid:
    """Input pixels of the d x d outputs around a position, relative to it.

    Where these outputs share no pixels (a 1x1 kernel with stride 2), a window holds the needed
    pixels only, and the stride over it is 1.
    """

    rows: Tensor
    columns: Tensor
    stride: tuple[int, int]
    dilation: tuple[int, int]

    @classmethod
    def of(cls, call: ConvCall, dw_size: int) -> Grid:
        axes, strides, dilations = [], [], []
        reach = dw_size // 2
        for side, stride, dilation in zip(
            call.weight.shape[2:], call.stride, call.dilation, strict=True
        ):
            taps, shifts = torch.arange(side) * dilation, torch.arange(-reach, reach + 1) * stride
            if side == 1:
                axes.append(shifts)
                strides.append(1)
                dilations.append(1)
            else:
                axes.append(torch.arange(int(shifts[0]), int(shifts[-1] + taps[-1]) + 1))
                strides.append(stride)
                dilations.append(dilation)
        return cls(axes[0], axes[1], as_pair(strides), as_pair(dilations))


def _windows_at(call: ConvCall, grid: Grid, positions: Tensor) -> Tensor:
    """``(N, c, K, K')``; pixels outside of the input repeat the border, and are not valid."""
    image, row, column = positions.unbind(1)
    height, width = call.x.shape[-2:]
    rows = row[:, None] * call.stride[0] + grid.rows
    columns = column[:, None] * call.stride[1] + grid.columns
    windows = call.x.permute(0, 2, 3, 1).contiguous()[
        image[:, None, None],
        rows.clamp(0, height - 1)[:, :, None],
        columns.clamp(0, width - 1)[:, None],
    ]
    return windows.permute(0, 3, 1, 2).float()


def _valid_at(shape: tuple[int, int, int], positions: Tensor, dw_size: int) -> Tensor:
    shifts = torch.arange(dw_size) - dw_size // 2
    down, across = (
        (at[:, None] + shifts >= 0) & (at[:, None] + shifts < size)
        for at, size in zip(positions[:, 1:].unbind(1), shape[1:], strict=True)
    )
    return (down[:, :, None] & across[:, None]).float()
