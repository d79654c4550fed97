"""Records of compressions as a table and as trade-off curves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ghostify.io.atomic import write_text
from ghostify.report.document import si
from ghostify.report.metric_texts import METRIC_TEXTS, format_metric
from ghostify.report.svg import plot_svg

from .record import Record

_STYLE = """
svg.plot{display:block;margin:1rem 0;width:100%;max-width:28rem;height:auto;font:12px sans-serif;
--ours:#5b4bc4;--other:#7d838a}
[data-md-color-scheme=slate] svg.plot{--ours:#a99df0;--other:#989fa8}
svg.plot text{fill:var(--md-default-fg-color,#333)}
svg.plot .grid{stroke:var(--md-default-fg-color--lightest,#ddd)}
svg.plot .curve{stroke:var(--other);stroke-width:2}
svg.plot g.original circle{fill:var(--other)}
svg.plot g.ghost circle{fill:var(--ours)}
svg.plot g.reference rect{fill:var(--md-default-fg-color,#333)}
svg.plot g.current circle{fill:none;stroke:var(--ours);stroke-width:2}
""".replace("\n", "")


def markdown(records: Mapping[str, Record]) -> str:
    """Return a row for each record."""
    headings = (
        "network", "points allowed", "MACs", "parameters", "ms in ONNX Runtime", "original",
        "before training", "after", "points lost on test images", "minutes",
    )  # fmt: skip
    return _table(headings, map(_cells, records.values()))


def overview(records: Mapping[str, Record]) -> str:
    """Return the table of the README: fewer columns, and the command of each row."""
    headings = (
        "network, points it may lose", "MACs", "parameters", "ms in ONNX Runtime", "original",
        "before recovery", "after", "command",
    )  # fmt: skip
    rows = []
    for record in records.values():
        name, points, *cells = _cells(record)
        rows.append((f"{name}, {points}", *cells[:6], f"`{record.command}`"))
    return _table(headings, rows)


def _table(headings: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(record: Record) -> Iterator[str]:
    found = record.compression
    original, saved, metric = found.original, found.best, found.metric
    yield record.title
    yield f"{found.max_drop:g}"
    yield f"{si(original.macs)} → {si(saved.macs)}, {original.macs / saved.macs:.2f}x"
    yield f"{si(original.params)} → {si(saved.params)}, {original.params / saved.params:.2f}x"
    first, last = record.timing.measurements
    ms = f"{1000 * first.seconds.median:.3g} → {1000 * last.seconds.median:.3g}"
    yield f"{ms}, {last.speedup.median:.2f}x"
    yield f"{format_metric(original.score, metric)} {METRIC_TEXTS[metric].heading}"
    yield format_metric(record.fitted.score, metric) if record.fitted else "-"
    yield format_metric(saved.score, metric) if saved.is_trained else "-"
    error = found.standard_error
    yield f"{found.drop:.2f}" if error is None else f"{found.drop:.2f} ± {error:.2f}"
    yield f"{record.minutes:g}"


def draw(records: Mapping[str, Record], folder: Path) -> None:
    """Write the trade-off curve of each record, in the colors of the page that shows it."""
    for name, record in records.items():
        svg = plot_svg(record.compression.plots()["trade-off-macs"])
        opening, inside = svg.split(">", 1)
        opening = opening.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
        write_text(folder / f"compress-{name}.svg", f"{opening}><style>{_STYLE}</style>{inside}\n")
