"""An artifact as a page that people look at and send to each other."""

from ghostify.report.html.page import check_page, write_report

__all__ = ["check_page", "write_report"]
