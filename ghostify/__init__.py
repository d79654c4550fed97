"""Ghost modules for any convolutional network: analyze, plan, convert, compare, save, load.

Names are loaded when first used, so that ``import ghostify`` does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ghostify.types import (
    Augmentation,
    ConvSite,
    Decision,
    DeploymentReport,
    Geometry,
    GhostifyError,
    GhostSpec,
    LayerLatencies,
    ModelSource,
    Normalization,
    Plan,
    PlanCandidate,
    Recovery,
    RecoverySettings,
    Score,
    Sensitivity,
)
from ghostify.types.version import __version__ as __version__

if TYPE_CHECKING:
    from ghostify.analysis import analyze
    from ghostify.artifact.artifact import Artifact, load, save
    from ghostify.conversion.convert import convert
    from ghostify.conversion.plan import plan
    from ghostify.conversion.redundancy import redundancy
    from ghostify.conversion.search import search
    from ghostify.conversion.sensitivity import sensitivity
    from ghostify.data import Data, open_data
    from ghostify.deployment import Exported, export
    from ghostify.deployment.benchmark import benchmark
    from ghostify.deployment.deploy import deploy
    from ghostify.deployment.layer_latency import layer_latency
    from ghostify.deployment.reparameterize import reparameterize
    from ghostify.evaluation.evaluate import evaluate
    from ghostify.evaluation.recalibrate import recalibrate
    from ghostify.nn import GhostModule
    from ghostify.report.compare import compare
    from ghostify.report.evaluate_models import evaluate_models
    from ghostify.report.evaluation import Evaluation, EvaluationRow
    from ghostify.report.html import write_report
    from ghostify.report.report import Report
    from ghostify.report.tables import list_sites
    from ghostify.report.timing import Timing
    from ghostify.training.recover import recover

__all__ = [
    "Artifact",
    "Augmentation",
    "ConvSite",
    "Data",
    "Decision",
    "DeploymentReport",
    "Evaluation",
    "EvaluationRow",
    "Exported",
    "Geometry",
    "GhostModule",
    "GhostSpec",
    "GhostifyError",
    "LayerLatencies",
    "ModelSource",
    "Normalization",
    "Plan",
    "PlanCandidate",
    "Recovery",
    "RecoverySettings",
    "Report",
    "Score",
    "Sensitivity",
    "Timing",
    "analyze",
    "benchmark",
    "compare",
    "convert",
    "deploy",
    "evaluate",
    "evaluate_models",
    "export",
    "layer_latency",
    "list_sites",
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
    "Data": "data.loaders",
    "Evaluation": "report.evaluation",
    "EvaluationRow": "report.evaluation",
    "Exported": "deployment.export",
    "GhostModule": "nn.ghost_module",
    "Report": "report.report",
    "Timing": "report.timing",
    "analyze": "analysis.analyze",
    "benchmark": "deployment.benchmark",
    "compare": "report.compare",
    "convert": "conversion.convert",
    "deploy": "deployment.deploy",
    "evaluate": "evaluation.evaluate",
    "evaluate_models": "report.evaluate_models",
    "export": "deployment.export",
    "reparameterize": "deployment.reparameterize",
    "list_sites": "report.tables",
    "Artifact": "artifact.artifact",
    "load": "artifact.artifact",
    "layer_latency": "deployment.layer_latency",
    "redundancy": "conversion.redundancy",
    "sensitivity": "conversion.sensitivity",
    "open_data": "data.open_data",
    "plan": "conversion.plan",
    "recalibrate": "evaluation.recalibrate",
    "recover": "training.recover",
    "write_report": "report.html.page",
    "save": "artifact.artifact",
    "search": "conversion.search",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    value = getattr(import_module(f"{__name__}.{module}"), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
