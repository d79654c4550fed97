"""The report of an artifact as an HTML page."""

from ghostify.report.html.page import check_page, write_report

__all__ = ["check_page", "write_report"]
