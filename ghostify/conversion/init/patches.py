"""What a convolution sees and what it should give, at positions drawn at random."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ghostify.conversion.init.scratch import scratch

_CHUNK_BYTES = 2**24


@dataclass(frozen=True)
class Call:
    """A call of ``F.conv2d`` with the padding already in its input.

    Attributes:
        x: ``(B, c, H, W)``.
        weight, bias: as the layer really uses them, after any standardisation; in float32.
    """

    x: Tensor
    weight: Tensor
    bias: Tensor | None
    stride: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of the map it makes."""
        height, width = (
            (size - step * (side - 1) - 1) // stride + 1
            for size, side, step, stride in zip(
                self.x.shape[-2:], self.weight.shape[-2:], self.dilation, self.stride, strict=True
            )
        )
        return height, width


class _Called(BaseException):
    """Ends a forward pass at the call that was wanted."""

    def __init__(self, call: Call) -> None:
        self.call = call


class _Interception(TorchFunctionMode):
    """Ends a layer's forward at the first convolution in it."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function is F.conv2d or function is torch.conv2d:
            raise _Called(_call(*args, **(kwargs or {})))
        return function(*args, **(kwargs or {}))


def call_of(layer: nn.Module, arguments: tuple[Any, ...]) -> Call:
    """The convolution that a filterwise layer makes of its arguments, without running it."""
    try:
        with _Interception():
            layer(*arguments)
    except _Called as called:
        return called.call
    raise RuntimeError(f"{type(layer).__name__} calls no conv2d")


def _call(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Call:
    dilation = as_pair(dilation)
    if padding == "valid":
        padding = 0
    if padding == "same":
        spans = [step * (side - 1) for side, step in zip(weight.shape[2:], dilation, strict=True)]
        sides = [(span // 2, span - span // 2) for span in spans]
    else:
        sides = [(side, side) for side in as_pair(padding)]
    x = input if input.dim() == 4 else input.unsqueeze(0)
    return Call(
        F.pad(x, (*sides[1], *sides[0])),
        weight.float(),
        None if bias is None else bias.float(),
        as_pair(stride),
        dilation,
        groups,
    )


def as_pair(value: Any) -> tuple[int, int]:
    """One number for each spatial dimension."""
    if isinstance(value, int):
        return value, value
    first, *rest = value
    return int(first), int(rest[0] if rest else first)


@dataclass(frozen=True)
class Grid:
    """The input pixels that the d x d outputs around one position are made of.

    Where these do not touch one another (a 1x1 kernel with stride 2), only those that are needed
    stand in a window, so that its own stride is 1.
    """

    rows: Tensor
    columns: Tensor
    stride: tuple[int, int]
    dilation: tuple[int, int]

    @classmethod
    def of(cls, call: Call, dw_size: int) -> Grid:
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


@dataclass
class Sample:
    """Windows of a convolution's input, and its targets, at N positions of its output.

    Attributes:
        windows: ``(N, c, K, K')``, the input that the d x d outputs around a position are made of;
            channels last in memory.
        valid: ``(N, d, d)``, 0 where such an output lies outside of the map.
        targets: ``(N, n)``, what the original gives at the position, before normalisation.
        stride, dilation: of the convolution over a window.
        dw_size: d.
        device: of the model; the sample itself is in files and memory of the CPU.
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
        """Windows, validity and targets on the model's device, a few MB at a time.

        Neither windows nor the maps made of them are more than that.
        """
        numbers = max(self.windows[0].numel(), self.targets.shape[1] * self.dw_size**2, 1)
        size = max(_CHUNK_BYTES // (4 * numbers), 1)
        for start in range(0, len(self), size):
            yield self.at(slice(start, start + size))

    def at(self, rows: slice | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Windows, validity and targets at some of the positions, on the model's device."""
        windows, valid, targets = (
            part[rows].to(self.device) for part in (self.windows, self.valid, self.targets)
        )
        return windows, valid, targets

    def thinned(self, number: int) -> Sample:
        """At most so many of the positions, evenly spread."""
        every = slice(None, None, -(-len(self) // number))
        return replace(
            self,
            windows=self.windows[every],
            valid=self.valid[every],
            targets=self.targets[every],
        )

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
        """``(N, c, k, k')``: the part of each window that the position itself is made of."""
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

    def maps(self, windows: Tensor, valid: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """``(N, m, d, d)``: the maps of these filters around each position, zero outside."""
        z = F.conv2d(windows, weight, bias, self.stride, 0, self.dilation)
        return z * valid[:, None]


class Sampler:
    """Gathers a `Sample` from calls, batch by batch."""

    def __init__(self, dw_size: int, capacity: int) -> None:
        self.dw_size = dw_size
        self.capacity = capacity
        self.filled = 0
        self._sample: Sample | None = None

    def add(self, call: Call, positions: Tensor, targets: Tensor) -> None:
        """The windows of ``call`` at ``positions`` ``(N, 3)``: image, row and column."""
        grid = Grid.of(call, self.dw_size)
        windows = _gathered(call, grid, positions)
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
        room = slice(self.filled, min(self.filled + len(windows), self.capacity))
        number = room.stop - room.start
        self._sample.windows[room] = windows[:number]
        self._sample.valid[room] = _inside(call.output, positions[:number], self.dw_size)
        self._sample.targets[room] = targets[:number]
        self.filled = room.stop

    def sample(self) -> Sample | None:
        """All that was added; None if that is nothing."""
        if self._sample is None or not self.filled:
            return None
        filled = slice(self.filled)
        return replace(
            self._sample,
            windows=self._sample.windows[filled],
            valid=self._sample.valid[filled],
            targets=self._sample.targets[filled],
        )


def draw_positions(key: str, images: int, output: tuple[int, int], number: int) -> Tensor:
    """``(number, 3)``: image, row and column; the same for the same key.

    All there are, if these are fewer.
    """
    height, width = output
    total = images * height * width
    generator = torch.Generator().manual_seed(zlib.crc32(key.encode()))
    if number >= total:
        flat = torch.arange(total)
    else:
        flat = torch.randint(total, (number,), generator=generator)
    return torch.stack([flat // (height * width), flat // width % height, flat % width], 1)


def _gathered(call: Call, grid: Grid, positions: Tensor) -> Tensor:
    """Windows ``(N, c, K, K')``; what lies outside of the input is zero, and not valid."""
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


def _inside(output: tuple[int, int], positions: Tensor, dw_size: int) -> Tensor:
    shifts = torch.arange(dw_size) - dw_size // 2
    down, across = (
        (at[:, None] + shifts >= 0) & (at[:, None] + shifts < size)
        for at, size in zip(positions[:, 1:].unbind(1), output, strict=True)
    )
    return (down[:, :, None] & across[:, None]).float()
