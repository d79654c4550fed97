"""MkDocs hook that writes the pages of the gallery."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import ghostify

MEASURED = Path(__file__).parent


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add ``results/gallery/NAME.html`` for each artifact in this folder."""
    with tempfile.TemporaryDirectory() as work:
        for recipe in sorted(MEASURED.glob("*/ghostify.json")):
            page = ghostify.write_report(recipe.parent, Path(work, "page.html"))
            name = f"results/gallery/{recipe.parent.name}.html"
            files.append(File.generated(config, name, content=page.read_text(encoding="utf-8")))
    return files
