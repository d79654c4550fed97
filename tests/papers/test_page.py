"""The documentation shows what is counted now."""

from pathlib import Path

from document import list_papers

from ghostify.report.formats import to_markdown

PAGE = Path(__file__).parents[2] / "docs" / "results" / "tables.md"


def test_the_page_ends_with_what_the_command_prints(recounted):
    tables, recounts = zip(*recounted.values(), strict=True)
    printed = to_markdown(list_papers(tables, recounts))
    page = PAGE.read_text(encoding="utf-8")
    assert page.endswith(printed), "python examples/papers --format markdown"
