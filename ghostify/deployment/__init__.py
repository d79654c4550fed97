"""Deployment: folding, export, runtimes and latency. A new format is one file in ``backends``."""

from ghostify.deployment.backends.exporter import Exporter, Session
from ghostify.deployment.backends.registry import EXPORTERS, exporter_for
from ghostify.deployment.export import Exported, export
from ghostify.deployment.runtimes import RUNTIMES, Opener, Runtime, runtime_named

__all__ = [
    "EXPORTERS",
    "RUNTIMES",
    "Exported",
    "Exporter",
    "Opener",
    "Runtime",
    "Session",
    "export",
    "exporter_for",
    "runtime_named",
]
