"""Inputs and targets of a convolution at positions drawn at random."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ghostify.conversion.init.conv_call import ConvCall
from ghostify.conversion.init.scratch import ScratchMemory

_CHUNK_BYTES = 2**23
_GATHERED_BYTES = 2**20
"""Feature maps of single images that are copied to be read together."""


def draw_positions(seed: str, shape: tuple[int, int, int], number: int) -> Tensor:
    """Draw ``(number, 3)`` positions from ``shape``: image, row and column; all if fewer.

    They are sorted, as all functions of positions here expect.
    """
    total = math.prod(shape)
    generator = torch.Generator().manual_seed(zlib.crc32(seed.encode()))
    if number >= total:
        flat = torch.arange(total)
    else:
        flat = torch.randint(total, (number,), generator=generator).sort().values
    return torch.stack(torch.unravel_index(flat, shape), 1).int()


def values_at(feature_maps: Tensor, positions: Tensor) -> Tensor:
    """``(n, N)``: values of ``(B, n, H, W)`` at positions ``(N, 3)``."""
    return values_around(feature_maps, positions, 1)[:, 0, 0]


def values_around(feature_maps: Tensor, positions: Tensor, size: int) -> Tensor:
    """``(n, size, size, N)``: values around positions ``(N, 3)``, zero outside."""
    image, row, column = positions.T.long().contiguous().to(feature_maps.device)
    reach = torch.arange(size, device=image.device)[:, None] - size // 2
    return _read(feature_maps, image, row + reach, column + reach)


def valid_around(shape: tuple[int, int, int], positions: Tensor, size: int) -> Tensor:
    """``(size, size, N)``: 1 where a place around positions lies inside of ``shape``, or 0."""
    at = positions.T[1:, None] + torch.arange(size)[:, None] - size // 2
    down, across = (at >= 0) & (at < torch.tensor(shape[1:])[:, None, None])
    inside: Tensor = down[:, None] & across
    return inside.float()


def patches_at(call: ConvCall, positions: Tensor) -> Tensor:
    """``(N, c, k, k')``: what the filters of a convolution read at positions ``(N, 3)``."""
    return Window.of(call, 1).read(call, positions).permute(3, 0, 1, 2)


@dataclass(frozen=True)
class Window:
    """The pixels that a convolution's d x d outputs around a position read.

    Attributes:
        pixels: rows and columns, relative to the first ones that the output at the position reads.
        kernel_size: k and k'.
        stride, dilation: of the convolution over these pixels.
        dw_size: d.
    """

    pixels: tuple[Tensor, Tensor]
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    dw_size: int

    @classmethod
    def of(cls, call: ConvCall, dw_size: int) -> Window:
        pixels, strides, dilations = [], [], []
        height, width = call.weight.shape[2:]
        for side, stride, dilation in zip((height, width), call.stride, call.dilation, strict=True):
            reach = dw_size // 2 * stride
            step = math.gcd(stride * (dw_size > 1), dilation * (side > 1)) or 1
            pixels.append(torch.arange(-reach, reach + dilation * (side - 1) + 1, step))
            strides.append(stride // step)
            dilations.append(max(dilation // step, 1))
        return cls(
            (pixels[0], pixels[1]),
            (height, width),
            (strides[0], strides[1]),
            (dilations[0], dilations[1]),
            dw_size,
        )

    def read(self, call: ConvCall, positions: Tensor) -> Tensor:
        """``(c, K, K', N)`` in float32: these pixels at positions ``(N, 3)``, zero outside."""
        image, *at = positions.T.long().contiguous().to(call.x.device)
        rows, columns = (
            at[axis] * call.stride[axis]
            - call.padding[axis][0]
            + self.pixels[axis].to(image)[:, None]
            for axis in (0, 1)
        )
        return _read(call.x, image, rows, columns).float()

    def patches(self, windows: Tensor) -> Iterator[Tensor]:
        """Yield what each of the d x d outputs reads, ``(c k k', N)``."""
        for place in itertools.product(range(self.dw_size), repeat=2):
            starts = [at * stride for at, stride in zip(place, self.stride, strict=True)]
            rows, columns = (
                slice(start, start + dilation * (side - 1) + 1, dilation)
                for start, dilation, side in zip(
                    starts, self.dilation, self.kernel_size, strict=True
                )
            )
            yield windows[:, rows, columns].flatten(0, 2)


@dataclass
class Sample:
    """Windows of a convolution's input, and its targets, at N positions of its output.

    Positions are the last dimension, so that products with filters are those of matrices.

    Attributes:
        windows: ``(c, K, K', N)``, the input of the d x d outputs around a position.
        valid: ``(d, d, N)``, 0 where such an output lies outside of the feature map.
        targets: ``(n, N)``, the original's output at the position, before normalization.
        window: which pixels these are.
        device: of the model. The sample itself is in files and memory of the CPU.
    """

    windows: Tensor
    valid: Tensor
    targets: Tensor
    window: Window
    device: torch.device

    @property
    def dw_size(self) -> int:
        return self.window.dw_size

    def __len__(self) -> int:
        return self.targets.shape[1]

    @cached_property
    def mean_window(self) -> Tensor:
        """``(c, K, K', 1)``, in float64."""
        sums = (windows.sum(3, dtype=torch.float64) for windows, _, _ in self.chunks())
        return sum(sums, torch.zeros((), device=self.device))[..., None] / len(self)

    @cached_property
    def mean_target(self) -> Tensor:
        """``(n, 1)``, in float64."""
        return self.targets.mean(1, keepdim=True, dtype=torch.float64).to(self.device)

    @cached_property
    def target_variance(self) -> Tensor:
        """``(n,)``, in float64."""
        squares = torch.zeros(len(self.targets), dtype=torch.float64, device=self.device)
        for _, _, targets in self.chunks():
            squares += (targets - self.mean_target.to(targets)).square().sum(1)
        return squares / len(self)

    def chunks(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield `at` for a few MB of positions at a time."""
        around = len(self.targets) * self.dw_size**2
        numbers = max(math.prod(self.windows.shape[:3]), around, 1)
        size = max(_CHUNK_BYTES // (4 * numbers), 1)
        for start in range(0, len(self), size):
            yield self.at(slice(start, start + size))

    def at(self, columns: slice | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Windows, validity and targets of some positions on the model's device."""
        parts = self.windows[..., columns], self.valid[..., columns], self.targets[:, columns]
        windows, valid, targets = (part.to(self.device).contiguous() for part in parts)
        return windows, valid, targets

    def select(self, columns: slice) -> Sample:
        windows, valid = self.windows[..., columns], self.valid[..., columns]
        return replace(self, windows=windows, valid=valid, targets=self.targets[:, columns])

    def thinned(self, number: int) -> Sample:
        """At most ``number`` positions, evenly spread."""
        return self.select(slice(None, None, -(-len(self) // number)))

    def outputs(self, windows: Tensor, weight: Tensor) -> Tensor:
        """``(n, N)``: outputs of filters at the positions, without bias, where d is 1."""
        groups = windows.shape[0] // weight.shape[1]
        inputs = windows.reshape(groups, -1, windows.shape[3])
        filters = weight.reshape(groups, len(weight) // groups, -1).to(inputs)
        return (filters @ inputs).flatten(0, 1)

    def outputs_around(
        self, windows: Tensor, valid: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        """``(m, d, d, N)``: outputs around each position, zero outside of the feature map."""
        z = windows.new_empty(len(weight), self.dw_size**2, windows.shape[3])
        for place, patch in enumerate(self.window.patches(windows)):
            z[:, place] = weight.flatten(1) @ patch
        z = z.view(len(weight), *valid.shape)
        if bias is not None:
            z += bias[:, None, None, None]
        return z.mul_(valid)


class Sampler:
    """Collects a `Sample` of at most ``capacity`` positions from calls of a convolution.

    Args:
        dw_size: d.
        capacity: number of positions.
        memory: where the sample is, until another one is collected there.
    """

    def __init__(self, dw_size: int, capacity: int, memory: ScratchMemory | None = None) -> None:
        self.dw_size = dw_size
        self.capacity = capacity
        self.memory = memory or ScratchMemory()
        self.filled = 0
        self._sample: Sample | None = None

    def add(self, call: ConvCall, positions: Tensor, targets: Tensor) -> None:
        """Add the windows of ``call`` at ``positions`` ``(N, 3)`` with ``targets`` ``(n, N)``."""
        number = min(len(positions), self.capacity - self.filled)
        positions, window = positions[:number], Window.of(call, self.dw_size)
        if self._sample is None:
            windows, valid, values = self.memory.tensors(
                (call.x.shape[1], *map(len, window.pixels), self.capacity),
                (self.dw_size, self.dw_size, self.capacity),
                (len(targets), self.capacity),
            )
            self._sample = Sample(windows, valid, values, window, call.x.device)
        added = self._sample.select(slice(self.filled, self.filled + number))
        added.windows.copy_(window.read(call, positions))
        added.valid.copy_(valid_around(call.output_shape, positions, self.dw_size))
        added.targets.copy_(targets[:, :number])
        self.filled += number

    def sample(self) -> Sample | None:
        """All that was added, None without any."""
        if self._sample is None or not self.filled:
            return None
        return self._sample.select(slice(self.filled))


def _read(maps: Tensor, image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """``(c, K, K', N)``: values at ``rows`` ``(K, N)`` and ``columns`` ``(K', N)``, or zero."""
    height, width = maps.shape[-2:]
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    places = rows.clamp(0, height - 1)[:, None] * width + columns.clamp(0, width - 1)
    values = _gathered(maps, image, places)
    return values if inside.all() else values * inside


def _gathered(maps: Tensor, image: Tensor, places: Tensor) -> Tensor:
    """``(c, ..., N)``: values at flat places ``(..., N)`` of images in ascending order."""
    channels, size = maps.shape[1], maps[0, 0].numel()
    values = maps.new_empty(channels, *places.shape)
    together = max(_GATHERED_BYTES // (4 * channels * size), 1)
    firsts = torch.arange(0, len(maps) + together, together, device=image.device)
    ends: list[int] = torch.searchsorted(image, firsts).tolist()
    for number, (start, end) in enumerate(itertools.pairwise(ends)):
        if start < end:
            first = number * together
            flat = maps[first : first + together].transpose(0, 1).flatten(1)
            wanted = (image[start:end] - first) * size + places[..., start:end]
            chosen = flat.index_select(1, wanted.flatten())
            values[..., start:end] = chosen.view(channels, *wanted.shape)
    return values
