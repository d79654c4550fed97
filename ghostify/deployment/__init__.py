"""Deployment: folding, export, runtimes and latency."""

from ghostify.deployment.export import export
from ghostify.deployment.exported import Exported
from ghostify.deployment.exporters import EXPORTERS, Exporter, exporter_for
from ghostify.deployment.runtimes import RUNTIMES, Runtime, runtime_named

__all__ = [
    "EXPORTERS",
    "RUNTIMES",
    "Exported",
    "Exporter",
    "Runtime",
    "export",
    "exporter_for",
    "runtime_named",
]
