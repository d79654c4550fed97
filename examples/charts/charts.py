"""The charts of the documentation, each from the table of a page."""

from __future__ import annotations

from collections.abc import Callable

from draw import Bar, Line, bars, lines
from page_tables import number, numbers, read_table, read_tables

METHODS = {
    "planned": ("ghostify", "ours"),
    "ghosts, planned": ("Ghost modules only", "light"),
    "L1 pruning, refitted": ("L1, refitted", "third"),
    "Torch-Pruning, default": ("Torch-Pruning", "other"),
}
"""Method in a table: its name in a chart and its color."""


def kept(network: str) -> str:
    """Draw the accuracy that is left on digits, over MACs."""
    rows = {row["method"]: row for row in read_table("accuracy", "Digits")}
    columns = [name for name in rows["planned"] if name.startswith(network)]
    return lines(
        f"{network} on digits: share of its accuracy that is left without training",
        "share of the MACs",
        f"{network} on digits: accuracy left without training",
        [
            Line(
                label, role,
                ((1, 100), *((number(c.split(",")[1]), number(rows[method][c])) for c in columns)),
            )
            for method, (label, role) in METHODS.items()
        ],
    )  # fmt: skip


def agreement() -> str:
    """Draw the top-1 agreement of EfficientNet-Lite0 with itself, over MACs."""
    curves = []
    for row in read_table("accuracy", "A network with ImageNet weights"):
        if row["method"] in METHODS:
            label, role = METHODS[row["method"]]
            measured = {s: cell for s, cell in row.items() if s != "method" and cell != "-"}
            points = ((float(share), number(cell)) for share, cell in measured.items())
            curves.append(Line(label, role, ((1, 100), *points)))
    return lines(
        "EfficientNet-Lite0: photographs with the original's class, without training",
        "share of the MACs",
        "EfficientNet-Lite0: photographs that keep their class",
        curves,
    )


def regained() -> str:
    """Draw what small networks regain by a recovery."""
    rows = [
        Bar(
            f"{row['task']}: {row['metric']}",
            f"{number(row['end']):g} of {number(row['original']):g}",
            (
                ("light", number(row["start"])),
                ("ours", number(row["end"]) - number(row["start"])),
            ),
            number(row["original"]),
        )
        for row in read_table("recovery", "Eight small networks")
    ]
    legend = (("light", "converted"), ("ours", "regained"), ("mark", "original"))
    return bars("Score before and after a recovery, in %", rows, legend)


def speedups() -> str:
    """Draw speed-ups in ONNX Runtime at s = 2, with the ratio of MACs."""
    rows = []
    for row in read_table("performance", "Ghost modules everywhere", 1):
        if row["plan"] == "s = 2":
            faster = number(row["ONNX Runtime"])
            says = f"{faster:g}x" if faster >= 1 else f"{1 / faster:.2g}x slower"
            role = "ours" if faster >= 1 else "worse"
            rows.append(Bar(row["network"], says, ((role, faster),), number(row["MACs"])))
    legend = (("ours", "times faster"), ("worse", "slower"), ("mark", "times fewer MACs"))
    return bars("Speed-up in ONNX Runtime, Ghost modules of s = 2 everywhere", rows, legend)


def int8() -> str:
    """Draw the latency of ResNet-50 in ONNX Runtime, in float32 and in INT8."""
    rows = {
        row["plan"]: row
        for row in read_table("performance", "INT8")
        if row["network"] == "ResNet-50"
    }
    float32 = "ONNX Runtime, ms"
    headings = list(rows["original"])
    quantized = headings[headings.index(float32) + 1]
    columns = ((float32, "float32", "other"), (quantized, "INT8", "ours"))
    names = {"original": "original", "macs=0.5": "half of the MACs", "macs=0.3": "0.3 of the MACs"}
    return bars(
        "ResNet-50 in ONNX Runtime, one thread: ms per image",
        [
            Bar(
                f"{name}, {precision}",
                f"{number(rows[plan][column]):g} ms",
                ((role, number(rows[plan][column])),),
            )
            for column, precision, role in columns
            for plan, name in names.items()
        ],
    )


def lost() -> str:
    """Draw the accuracy that ResNet-20 lost at 0.29 of its MACs, before and after a training."""
    names = {
        "planned, seed 0": "ghostify",
        "ghosts, planned, seed 0": "Ghost modules only",
        "L1 pruning, refitted, seed 0": "L1 pruning, refitted",
        "FPGM pruning, refitted, seed 0": "FPGM pruning, refitted",
    }
    bars_ = []
    for row in read_table("recovery", "Against pruning, on digits"):
        if name := names.get(row["method"]):
            before, after = (-points for points in numbers(row["ResNet-20, 0.29"]))
            parts = (("ours", after), ("light", before - after))
            bars_.append(Bar(name, f"{before:g} → {after:g}", parts))
    title = "ResNet-20 at 0.29 of its MACs: points below the original"
    return bars(title, bars_, (("ours", "after a short training"), ("light", "regained by it")))


def coverage() -> str:
    """Draw the convolutions of each library by what becomes of them."""
    roles = {
        "replaced": "ours",
        "depthwise or grouped": "other",
        "1×1 feature maps": "light",
        "first": "third",
        "other": "fourth",
    }
    rows = []
    for row in read_table("coverage", "By library"):
        total = number(row["convolutions"])
        parts = tuple((role, 100 * number(row[name]) / total) for name, role in roles.items())
        label = f"{row['library']}: {row['networks']} networks, {row['convolutions']} convolutions"
        rows.append(Bar(label, f"{parts[0][1]:.0f} %", parts))
    legend = [(role, name) for name, role in roles.items()]
    return bars("Convolutions that are replaced", rows, legend)


def recounted() -> str:
    """Draw the rows of the papers' tables that agree with what ghostify counts."""
    rows = []
    for heading, tables in read_tables("tables").items():
        cells = [row["agree"] for table in tables for row in table]
        agree = sum(cell.startswith("yes") for cell in cells)
        differ = sum(cell.startswith("no") for cell in cells)
        if cells:
            parts = (("ours", agree), ("other", differ))
            rows.append(Bar(heading.split(" [")[0], f"{agree} of {agree + differ}", parts))
    legend = (("ours", "rows that agree"), ("other", "rows that differ"))
    return bars("Rows that agree with the count", rows, legend)


CHARTS: dict[str, Callable[[], str]] = {
    "kept-vgg16": lambda: kept("VGG-16"),
    "kept-resnet20": lambda: kept("ResNet-20"),
    "kept-lite0": agreement,
    "recovered": regained,
    "lost-resnet20": lost,
    "speedups": speedups,
    "int8": int8,
    "coverage": coverage,
    "recounted": recounted,
}
"""Charts by the name of their file in ``docs/images``."""
