"""Training history on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ghostify.io.atomic import write_text
from ghostify.types import GhostifyError


def write_history(folder: Path | None, records: Sequence[Mapping[str, Any]], events: Any) -> None:
    """Write ``history.jsonl``, one line per epoch, and the TensorBoard events of the last one.

    Args:
        folder: where to write; None writes nothing.
        events: a SummaryWriter, or None.
    """
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "history.jsonl", "".join(f"{json.dumps(r)}\n" for r in records))
    if events is not None:
        last = records[-1]
        for name, value in {**last, **(last["score"] or {})}.items():
            if isinstance(value, float):
                events.add_scalar(name, value, last["step"])
        events.flush()


def tensorboard_writer(folder: Path | None, step: int) -> Any:
    """Return a SummaryWriter that drops what was written after ``step``; None without a folder.

    Accelerate's trackers do not serve here: they ignore a missing TensorBoard.

    Raises:
        GhostifyError: if TensorBoard is not installed.
    """
    if folder is None:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise GhostifyError("TensorBoard is not installed: pip install tensorboard") from error
    return SummaryWriter(str(folder), purge_step=step + 1)
