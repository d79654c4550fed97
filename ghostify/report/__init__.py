"""Results that print as tables, and the charts and the HTML page made of them."""

from ghostify.report.evaluation import Evaluation, EvaluationRow
from ghostify.report.report import Report
from ghostify.report.timing import Timing

__all__ = ["Evaluation", "EvaluationRow", "Report", "Timing"]
