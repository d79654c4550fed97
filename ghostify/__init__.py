"""Ghost modules for any convolutional network: analyze, plan, convert, compare, save, load.

Data that the functions take and return is in `ghostify.types`, results that print as tables in
`ghostify.report`.

Names are loaded when first used, so that ``import ghostify`` does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ghostify.types import Augmentation, GhostifyError, GhostSpec, Plan, RecoverySettings
from ghostify.types.displayed import Displayed
from ghostify.types.version import __version__ as __version__

if TYPE_CHECKING:
    from ghostify import data as data
    from ghostify import models as models
    from ghostify import nn as nn
    from ghostify.analysis import analyze
    from ghostify.artifact.artifact import Artifact, load, save
    from ghostify.compression.compress import compress
    from ghostify.conversion.convert import convert
    from ghostify.conversion.plan import plan
    from ghostify.conversion.redundancy import redundancy
    from ghostify.conversion.search import search
    from ghostify.conversion.sensitivity import sensitivity
    from ghostify.data import open_data
    from ghostify.deployment import export
    from ghostify.deployment.benchmark import benchmark
    from ghostify.deployment.deploy import deploy
    from ghostify.deployment.layer_latency import layer_latency
    from ghostify.deployment.reparameterize import reparameterize
    from ghostify.evaluation.evaluate import evaluate
    from ghostify.evaluation.recalibrate import recalibrate
    from ghostify.nn import GhostModule
    from ghostify.report.compare import compare
    from ghostify.report.evaluate_models import evaluate_models
    from ghostify.report.html import write_report
    from ghostify.training.recover import recover

__all__ = [
    "Artifact",
    "Augmentation",
    "GhostModule",
    "GhostSpec",
    "GhostifyError",
    "Plan",
    "RecoverySettings",
    "analyze",
    "benchmark",
    "compare",
    "compress",
    "convert",
    "deploy",
    "evaluate",
    "evaluate_models",
    "export",
    "layer_latency",
    "load",
    "open_data",
    "plan",
    "recalibrate",
    "recover",
    "redundancy",
    "reparameterize",
    "save",
    "search",
    "sensitivity",
    "write_report",
]

_HOMES = {
    "Artifact": "artifact.artifact",
    "GhostModule": "nn.ghost_module",
    "analyze": "analysis.analyze",
    "benchmark": "deployment.benchmark",
    "compare": "report.compare",
    "compress": "compression.compress",
    "convert": "conversion.convert",
    "deploy": "deployment.deploy",
    "evaluate": "evaluation.evaluate",
    "evaluate_models": "report.evaluate_models",
    "export": "deployment.export",
    "layer_latency": "deployment.layer_latency",
    "load": "artifact.artifact",
    "open_data": "data.open_data",
    "plan": "conversion.plan",
    "recalibrate": "evaluation.recalibrate",
    "recover": "training.recover",
    "redundancy": "conversion.redundancy",
    "reparameterize": "deployment.reparameterize",
    "save": "artifact.artifact",
    "search": "conversion.search",
    "sensitivity": "conversion.sensitivity",
    "write_report": "report.html.page",
}


_MODULES = ("data", "models", "nn")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def _display(self: Displayed) -> Any:
    return import_module(f"{__name__}.report.displays").display(self)


Displayed._display = _display


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
