"""Feature maps of a layer and its most similar pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ghostify.report.plots import check_plot, write_plot
from ghostify.types import GhostSpec, LayerRedundancy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_MAPS = 64
_COLORS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080")
_DW_SIZE = GhostSpec().dw_size


def plot_redundancy(
    found: LayerRedundancy, image: Tensor, maps: Tensor, file: Path, *, title: str
) -> None:
    """Draw the feature maps of a layer, and each pair with the ghost fitted to its source.

    Args:
        found: redundancy of the layer.
        image: input, ``(C, H, W)``.
        maps: feature maps of the layer for this input, ``(n, H, W)``.
        file: file to write.
        title: name of the model.
    """
    check_plot(file)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.4, 6.9), dpi=100)
    maps = maps.float().cpu()
    _draw_maps(figure.add_axes((0.016, 0.045, 0.434, 0.78)), found, maps)
    _draw_pairs(figure, found, maps)
    _draw_head(figure, found, image, title)
    write_plot(figure, file)


def _draw_head(figure: Figure, found: LayerRedundancy, image: Tensor, title: str) -> None:
    axes = figure.add_axes((0.016, 0.872, 0.062, 0.112))
    axes.set_anchor("W")
    pixels = image.float().cpu()
    pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min()).clamp_min(1e-12)
    pixels = pixels.permute(1, 2, 0) if len(pixels) == 3 else pixels[0]
    axes.imshow(pixels.numpy(), cmap="gray")  # which applies to one channel only
    axes.set_axis_off()
    caption = f"{found.maps} feature maps of {found.size[0]}×{found.size[1]}."
    if found.explained:
        shares = ", ".join(f"{share:.0%} (d = {size})" for size, share in found.explained.items())
        caption += f" Variance that a d×d kernel predicts from one other map: {shares}"
    figure.text(0.088, 0.950, f"{title}, {found.layer}", fontsize=14, weight="bold", va="center")
    figure.text(0.088, 0.897, caption, fontsize=10.5, va="center", color="#444444")


def _draw_maps(axes: Axes, found: LayerRedundancy, maps: Tensor) -> None:
    from matplotlib.patches import Rectangle

    paired = {
        channel: _COLORS[place % len(_COLORS)]
        for place, pair in enumerate(found.pairs)
        for channel in (pair.source, pair.target)
    }
    others = [channel for channel in range(len(maps)) if channel not in paired]
    shown = sorted([*paired, *others[: _MAX_MAPS - len(paired)]])
    columns = next(side for side in range(1, len(shown) + 2) if side**2 >= len(shown))
    for place, channel in enumerate(shown):
        row, column = divmod(place, columns)
        left, bottom = column + 0.04, row + 0.04
        extent = (left, left + 0.92, bottom + 0.92, bottom)
        axes.imshow(_stretched(maps[channel]).numpy(), extent=extent, interpolation="nearest")
        if color := paired.get(channel):
            style: dict[str, Any] = {"fill": False, "edgecolor": color, "linewidth": 3.5}
            axes.add_patch(Rectangle((left, bottom), 0.92, 0.92, **style))
    rows = max(-(-len(shown) // columns), 1)
    axes.set(xlim=(0, columns), ylim=(rows, 0), aspect="equal", anchor="NW")
    axes.set_axis_off()


def _draw_pairs(figure: Figure, found: LayerRedundancy, maps: Tensor) -> None:
    rows = figure.add_gridspec(
        max(len(found.pairs), 3), 4, left=0.478, right=0.984, top=0.825, bottom=0.045,
        wspace=0.05, hspace=0.32,
    )  # fmt: skip
    for row, pair in enumerate(found.pairs):
        source, target = maps[pair.source], maps[pair.target]
        ghost = _fitted_ghost(source, target)
        low, high = float(target.min()), float(target.max())
        half = (high - low) / 2 or 1.0
        span = {"vmin": low, "vmax": high}
        panels: tuple[tuple[str, Tensor, dict[str, Any]], ...] = (
            (f"map {pair.source}", source, {}),
            (f"map {pair.target}", target, span),
            (f"ghost of {pair.source}, {_DW_SIZE}×{_DW_SIZE}", ghost, span),
            ("difference", target - ghost, {"vmin": -half, "vmax": half, "cmap": "RdBu_r"}),
        )
        for column, (label, values, options) in enumerate(panels):
            axes = figure.add_subplot(rows[row, column])
            axes.imshow(values.numpy(), **options)
            axes.set(xticks=[], yticks=[])
            axes.set_title(label, fontsize=9.5, pad=3.5)
            for spine in axes.spines.values():
                spine.set(edgecolor=_COLORS[row % len(_COLORS)], linewidth=2.5 * (column < 2))
            if column == 0:
                errors = "   ".join(f"d={size}: {e:.2%}" for size, e in pair.errors.items())
                axes.text(0, -0.06, f"error   {errors}", transform=axes.transAxes, va="top",
                          fontsize=9.5, color="#444444")  # fmt: skip


def _fitted_ghost(source: Tensor, target: Tensor) -> Tensor:
    """Fit a d x d kernel and a bias by least squares; return its output for ``source``."""
    windows = F.unfold(source[None, None], _DW_SIZE, padding=_DW_SIZE // 2)[0].T.double()
    inputs = torch.cat([windows, torch.ones_like(windows[:, :1])], 1)
    wanted = target.reshape(-1, 1).double()
    kernel: Tensor = torch.linalg.lstsq(inputs, wanted, driver="gelsd").solution
    return (inputs @ kernel).view(target.shape).to(target)


def _stretched(values: Tensor) -> Tensor:
    """Scale to 0 to 1, with the lowest and highest percent clipped."""
    lowest, highest = torch.quantile(values.flatten()[:1_000_000], torch.tensor([0.01, 0.99]))
    unit: Tensor = (values - lowest) / (highest - lowest).clamp_min(1e-12)
    return unit.clamp(0, 1)
