"""Networks in the forms that runtimes read. A new form is one file and one entry here."""

from ghostify.exporters.exported import Exported
from ghostify.exporters.exporter import Exporter, Session
from ghostify.exporters.registry import EXPORTERS, exporter_for
from ghostify.exporters.writing import export

__all__ = ["EXPORTERS", "Exported", "Exporter", "Session", "export", "exporter_for"]
