"""An artefact as a page that people look at and send to each other."""

from ghostify.page.writing import check_page, report

__all__ = ["check_page", "report"]
