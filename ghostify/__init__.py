"""Ghost modules for any convolutional network: analyze, plan, convert, compare, save, load.

Names are loaded when first used, so that ``import ghostify`` does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ghostify.spec import (
    Augmentation,
    ConvSite,
    Decision,
    Evaluation,
    Geometry,
    GhostifyError,
    GhostSpec,
    InferenceForm,
    Latencies,
    ModelSource,
    Normalization,
    Plan,
    Recovery,
    RecoverySettings,
    Score,
    Sensitivity,
    Standing,
    Trial,
)

if TYPE_CHECKING:
    from ghostify.analysis import analyze
    from ghostify.artifact import load, resave, save
    from ghostify.conversion import convert
    from ghostify.data import Data, open_data
    from ghostify.deployment import deploy
    from ghostify.evaluation import evaluate
    from ghostify.exporters import Exported, export
    from ghostify.fusion import fuse
    from ghostify.latency import measure_latency
    from ghostify.layers import GhostModule
    from ghostify.page import report
    from ghostify.planning import plan
    from ghostify.recalibration import recalibrate
    from ghostify.recovery import recover, recover_by_steps
    from ghostify.redundancy import measure_redundancy
    from ghostify.reporting.comparison import compare
    from ghostify.reporting.listing import list_sites
    from ghostify.reporting.report import Report
    from ghostify.reporting.timing import Timing
    from ghostify.sensing import measure_sensitivity
    from ghostify.timing import benchmark
    from ghostify.trials import search

__version__ = "0.1.0"

__all__ = [
    "Augmentation",
    "ConvSite",
    "Data",
    "Decision",
    "Evaluation",
    "Exported",
    "Geometry",
    "GhostModule",
    "GhostSpec",
    "GhostifyError",
    "InferenceForm",
    "Latencies",
    "ModelSource",
    "Normalization",
    "Plan",
    "Recovery",
    "RecoverySettings",
    "Report",
    "Score",
    "Sensitivity",
    "Standing",
    "Timing",
    "Trial",
    "analyze",
    "benchmark",
    "compare",
    "convert",
    "deploy",
    "evaluate",
    "export",
    "fuse",
    "list_sites",
    "load",
    "measure_latency",
    "measure_redundancy",
    "measure_sensitivity",
    "open_data",
    "plan",
    "recalibrate",
    "recover",
    "recover_by_steps",
    "report",
    "resave",
    "save",
    "search",
]

_HOMES = {
    "Data": "data",
    "Exported": "exporters",
    "GhostModule": "layers",
    "Report": "reporting.report",
    "Timing": "reporting.timing",
    "analyze": "analysis",
    "benchmark": "timing",
    "compare": "reporting.comparison",
    "convert": "conversion",
    "deploy": "deployment",
    "evaluate": "evaluation",
    "export": "exporters",
    "fuse": "fusion",
    "list_sites": "reporting.listing",
    "load": "artifact",
    "measure_latency": "latency",
    "measure_redundancy": "redundancy",
    "measure_sensitivity": "sensing",
    "open_data": "data",
    "plan": "planning",
    "recalibrate": "recalibration",
    "report": "page",
    "resave": "artifact",
    "recover": "recovery",
    "recover_by_steps": "recovery",
    "save": "artifact",
    "search": "trials",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
