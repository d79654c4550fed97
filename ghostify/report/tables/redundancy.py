"""How ghostly layers are, as tables and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ghostify.report.document import Column, Document, Table
from ghostify.report.plots import check_plot, write_plot
from ghostify.types import GhostSpec, LayerRedundancy, MapPair
from ghostify.types.redundancy import NEARLY_ALL
from ghostify.types.serialization import encode

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 64
_COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080")
_DRAWN = GhostSpec().dw_size


def list_redundancy(layers: Sequence[LayerRedundancy], *, model: str) -> Document:
    """A row a layer; of a single layer also a row a pair, as in the paper's Table 2."""
    sizes = list(dict.fromkeys(size for layer in layers for size in layer.explained))
    tables = [_summary(layers, sizes)]
    notes = [
        "d: share of a map's variance that a d x d kernel makes from one other; mean.",
        f"ghosts: maps of which that is more than {NEARLY_ALL:.0%} at d = {_DRAWN}.",
    ]
    if any(layer.constant for layer in layers):
        notes.append("Maps that do not vary on the images are left out.")
    if any(len(layer.explained) < len(sizes) for layer in layers) or not sizes:
        notes.append("-: too few positions to tell; more images would do.")
    if len(layers) == 1:
        tables.append(_pairs(layers[0], sizes))
        notes.append("error: what is left of the target's variance.")
    return Document(
        title=f"{model}: redundancy of its feature maps",
        tables=tuple(tables),
        notes=tuple(notes),
        records=tuple(_record(layer, sizes) for layer in layers),
        data={"layers": [encode(layer) for layer in layers]},
    )


def plot_redundancy(
    found: LayerRedundancy, image: Tensor, maps: Tensor, file: Path, *, title: str
) -> None:
    """The maps of a layer, and its most similar pairs: each with the ghost made of its source.

    The ghosts are fitted to what is shown.

    Args:
        image: ``(C, H, W)``, as the model takes it.
        maps: ``(n, H, W)``, what the layer makes of it.

    Raises:
        GhostifyError: as `check_plot` does.
        OSError: if the file cannot be written.
    """
    check_plot(file)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.4, 6.9), dpi=100)
    maps = maps.float().cpu()
    _draw_maps(figure.add_axes((0.016, 0.045, 0.434, 0.78)), found, maps)
    _draw_pairs(figure, found, maps)
    _draw_head(figure, found, image, title)
    write_plot(figure, file)


def _summary(layers: Sequence[LayerRedundancy], sizes: Sequence[int]) -> Table:
    columns = [Column("layer"), Column("maps", numeric=True), Column("size", numeric=True)]
    columns += [Column(f"d={size}", numeric=True) for size in sizes]
    columns += [Column("ghosts", numeric=True)]
    rows = tuple(
        (
            layer.layer,
            str(layer.maps - layer.constant),
            "x".join(map(str, layer.size)),
            *(_percent(layer.explained.get(size)) for size in sizes),
            str(layer.ghosts.get(_DRAWN, "-")),
        )
        for layer in layers
    )
    return Table(f"Layers: {len(layers)}; explained by d", tuple(columns), rows)


def _pairs(layer: LayerRedundancy, sizes: Sequence[int]) -> Table:
    columns = [Column("pair: source → target")]
    columns += [Column(f"error, d={size}", numeric=True) for size in sizes]
    rows = tuple(
        (f"{pair.source} → {pair.target}", *(f"{pair.errors[size]:.4f}" for size in sizes))
        for pair in layer.pairs
    )
    return Table("The most similar pairs", tuple(columns), rows)


def _record(layer: LayerRedundancy, sizes: Sequence[int]) -> dict[str, Any]:
    numbers = {"layer": layer.layer, "maps": layer.maps, "constant": layer.constant}
    numbers |= {"height": layer.size[0], "width": layer.size[1], "positions": layer.positions}
    for word, by_size in {"explained": layer.explained, "ghosts": layer.ghosts}.items():
        numbers |= {f"{word}_d{size}": by_size.get(size) for size in sizes}
    return numbers


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _draw_head(figure: Figure, found: LayerRedundancy, image: Tensor, title: str) -> None:
    axes = figure.add_axes((0.016, 0.872, 0.062, 0.112))
    axes.set_anchor("W")
    pixels = image.float().cpu()
    pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min()).clamp_min(1e-12)
    colour = len(pixels) == 3
    axes.imshow(
        pixels.permute(1, 2, 0).numpy() if colour else pixels[0].numpy(),
        cmap=None if colour else "gray",
    )
    axes.set_axis_off()
    height, width = found.size
    figure.text(0.088, 0.950, f"{title}, {found.layer}", fontsize=14, weight="bold", va="center")
    figure.text(
        0.088, 0.897, f"{found.maps} maps of {height}×{width}. {_told(found.explained)}",
        fontsize=10.5, va="center", color="#444444",
    )  # fmt: skip


def _told(explained: Mapping[int, float]) -> str:
    if not explained:
        return ""
    shares = ", ".join(f"{share:.0%} (d = {size})" for size, share in explained.items())
    return f"One other map and one d×d kernel explain of a map's variance: {shares}"


def _draw_maps(axes: Axes, found: LayerRedundancy, maps: Tensor) -> None:
    from matplotlib.patches import Rectangle

    paired = {number: place for place, pair in enumerate(found.pairs) for number in _both(pair)}
    others = [number for number in range(len(maps)) if number not in paired]
    shown = sorted([*paired, *others[: _MOST - len(paired)]])
    columns = next(side for side in range(1, len(shown) + 1) if side**2 >= len(shown))
    for place, number in enumerate(shown):
        row, column = divmod(place, columns)
        left, bottom = column + 0.04, row + 0.04
        axes.imshow(
            _stretched(maps[number]).numpy(),
            extent=(left, left + 0.92, bottom + 0.92, bottom),
            cmap="viridis",
            interpolation="nearest",
        )
        if number in paired:
            colour = _COLOURS[paired[number] % len(_COLOURS)]
            axes.add_patch(
                Rectangle((left, bottom), 0.92, 0.92, fill=False, edgecolor=colour, linewidth=3.5)
            )
    axes.set_xlim(0, columns)
    axes.set_ylim(-(-len(shown) // columns), 0)
    axes.set_aspect("equal")
    axes.set_anchor("NW")
    axes.set_axis_off()


def _draw_pairs(figure: Figure, found: LayerRedundancy, maps: Tensor) -> None:
    rows = figure.add_gridspec(
        max(len(found.pairs), 3), 4, left=0.478, right=0.984, top=0.825, bottom=0.045,
        wspace=0.05, hspace=0.32,
    )  # fmt: skip
    for row, pair in enumerate(found.pairs):
        source, target = maps[pair.source], maps[pair.target]
        ghost = _ghost(source, target)
        scale = (float(target.min()), float(target.max()))
        half = (scale[1] - scale[0]) / 2 or 1.0
        panels: tuple[tuple[str, Tensor, dict[str, Any]], ...] = (
            (f"map {pair.source}", source, {}),
            (f"map {pair.target}", target, {"vmin": scale[0], "vmax": scale[1]}),
            (
                f"made of {pair.source}, {_DRAWN}×{_DRAWN}",
                ghost,
                {"vmin": scale[0], "vmax": scale[1]},
            ),
            ("difference", target - ghost, {"vmin": -half, "vmax": half, "cmap": "RdBu_r"}),
        )
        for column, (words, values, looks) in enumerate(panels):
            axes = figure.add_subplot(rows[row, column])
            axes.imshow(values.numpy(), **({"cmap": "viridis"} | looks))
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_title(words, fontsize=9.5, pad=3.5)
            for spine in axes.spines.values():
                spine.set(edgecolor=_COLOURS[row % len(_COLOURS)], linewidth=2.5 * (column < 2))
            if column == 0:
                errors = "   ".join(f"d={size}: {e:.2%}" for size, e in pair.errors.items())
                axes.text(0, -0.06, f"error   {errors}", transform=axes.transAxes, va="top",
                          fontsize=9.5, color="#444444")  # fmt: skip


def _ghost(source: Tensor, target: Tensor) -> Tensor:
    """The best d x d linear map of ``source``, and a constant, by least squares."""
    windows = F.unfold(source[None, None], _DRAWN, padding=_DRAWN // 2)[0].T.double()
    inputs = torch.cat([windows, torch.ones_like(windows[:, :1])], 1)
    wanted = target.reshape(-1, 1).double()
    kernel: Tensor = torch.linalg.lstsq(inputs, wanted, driver="gelsd").solution
    return (inputs @ kernel).view(target.shape).to(target)


def _stretched(map: Tensor) -> Tensor:
    """From 0 to 1, the outermost hundredths cut off."""
    lowest, highest = torch.quantile(map.flatten()[:1_000_000], torch.tensor([0.01, 0.99]))
    unit: Tensor = (map - lowest) / (highest - lowest).clamp_min(1e-12)
    return unit.clamp(0, 1)


def _both(pair: MapPair) -> tuple[int, int]:
    return pair.source, pair.target
