"""The terms of the page and what they mean."""

from __future__ import annotations

from ghostify.report.html.summary import ArtifactSummary


def glossary(summary: ArtifactSummary) -> dict[str, str]:
    """Return the terms that this page uses, in the order of its sections."""
    report = summary.report
    terms = {}
    if report.replaced:
        terms["Ghost module"] = (
            "computes 1/s of its feature maps, the intrinsic maps, by a convolution, and the "
            "others, the ghosts, from these by d×d filters, one each."
        )
    terms |= report.definitions()
    terms.pop("Eq. 4", None)  # a column of `print(report)` that the page lacks
    if error := terms.pop("error", None):
        when = "" if summary.is_as_converted else "before training: "
        terms["error of a layer"] = when + error
    if summary.sensitivity:
        terms["sensitivity"] = (
            f"{summary.sensitivity.unit} that the outputs change by if only this layer is changed."
        )
    for evaluation in summary.evaluations:
        found = evaluation.definitions().items()
        terms |= {"error of the outputs" if t == "error" else t: meaning for t, meaning in found}
    if summary.is_timed:
        terms["realized"] = "speed-up / MACs ratio; 100 %: time fell as much as MACs did."
    if summary.exports:
        terms["max. error"] = (
            "largest difference between an output of the file and the network's; relative: divided "
            "by the largest value of that output."
        )
    return terms
