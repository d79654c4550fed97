"""Tables of the papers with counted and printed numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from printed import PaperRow, PaperTable, agrees
from recount import Recount

from ghostify.report.document import Column, Document, Table, si


def list_papers(
    tables: Sequence[PaperTable], recounts: Sequence[Sequence[Recount | None]]
) -> Document:
    """Return a table for each table of the papers, and a record for each row.

    Args:
        recounts: for each row of each table; None if the network is not counted.
    """
    pairs = list(zip(tables, recounts, strict=True))
    footnotes: dict[str, int] = {}
    shown = tuple(_table(table, ours, footnotes) for table, ours in pairs)
    records = [
        _record(table, row, recount)
        for table, ours in pairs
        for row, recount in zip(table.rows, ours, strict=True)
    ]
    return Document(
        title=f"Tables of the GhostNet papers, counted again: {_summary(records)}",
        tables=shown,
        notes=(
            "params, MACs: counted on networks that ghostify builds. paper: the printed number. "
            "agree: whether both are equal after rounding to the printed digits.",
            "MACs: multiply-accumulates; the papers call them FLOPs.",
            "Accuracies are published ones; nothing is trained here.",
            *(f"[{number}] {text}" for text, number in footnotes.items()),
        ),
        records=tuple(_flat(record) for record in records),
        data={
            "tables": [
                {
                    "name": table.name,
                    "title": table.title,
                    "source": table.source,
                    "counted": list(table.counted),
                    "note": table.note,
                    "rows": [record for record in records if record["table"] == table.name],
                }
                for table in tables
            ]
        },
    )


def _summary(records: Sequence[dict[str, Any]]) -> str:
    """Say how many of the rows with both a printed and a counted number agree."""
    pairs = [(record["params_agree"], record["macs_agree"]) for record in records]
    compared = [pair for pair in pairs if pair != (None, None)]
    return f"{sum(False not in pair for pair in compared)} of {len(compared)} rows agree"


def _table(table: PaperTable, ours: Sequence[Recount | None], footnotes: dict[str, int]) -> Table:
    title = " ".join([f"{table.title} ({table.source})", *_marks([table.note], footnotes)])
    words = ["params", "paper", "MACs", "paper", "agree", *table.accuracy]
    columns = (Column("network"), *(Column(word, numeric=word != "agree") for word in words))
    rows = []
    for row, recount in zip(table.rows, ours, strict=True):
        marks = _marks([_missing(row, recount), row.note], footnotes)
        rows.append(
            (
                row.network,
                si(recount.params, 4) if recount else "-",
                row.params or "-",
                si(recount.macs, 4) if recount else "-",
                row.macs or "-",
                " ".join([_agreement(row, recount), *marks]).strip(),
                *(accuracy or "-" for accuracy in row.accuracy),
            )
        )
    return Table(title, columns, tuple(rows))


def _marks(texts: Sequence[str], footnotes: dict[str, int]) -> list[str]:
    """Return the marks of footnotes; a new text gets the next number."""
    return [f"[{footnotes.setdefault(text, len(footnotes) + 1)}]" for text in texts if text]


def _missing(row: PaperRow, recount: Recount | None) -> str:
    if row.model is None or recount is not None:
        return ""
    library = row.model.partition(":")[0]
    return f"Not counted: {library} is not installed. Run pip install {library}."


def _agreement(row: PaperRow, recount: Recount | None) -> str:
    if recount is None or row.params is row.macs is None:
        return ""
    found = {"params": _agrees(recount.params, row.params), "MACs": _agrees(recount.macs, row.macs)}
    wrong = [name for name, agreed in found.items() if agreed is False]
    return "yes" if not wrong else "no" if len(wrong) == len(found) else f"not {wrong[0]}"


def _agrees(number: int, printed: str | None) -> bool | None:
    return None if printed is None else agrees(number, printed)


def _record(table: PaperTable, row: PaperRow, recount: Recount | None) -> dict[str, Any]:
    return {
        "table": table.name,
        "network": row.network,
        "model": row.model,
        "arguments": row.arguments,
        "ratio": row.ghost and row.ghost.ratio,
        "dw_size": row.ghost and row.ghost.dw_size,
        "fused": row.fused,
        "params": recount and recount.params,
        "params_printed": row.params,
        "params_agree": recount and _agrees(recount.params, row.params),
        "macs": recount and recount.macs,
        "macs_printed": row.macs,
        "macs_agree": recount and _agrees(recount.macs, row.macs),
        "published": dict(zip(table.accuracy, row.accuracy, strict=True)),
        "note": row.note,
    }


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Return mappings as text, so that every table has the same columns."""
    return {
        key: "; ".join(f"{name} {part}" for name, part in value.items())
        if isinstance(value, dict)
        else value
        for key, value in record.items()
    }
