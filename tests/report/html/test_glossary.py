"""The terms of a page."""

from ghostify.io.measurements import record
from ghostify.report.evaluation import Evaluation, EvaluationRow
from ghostify.report.html.glossary import glossary
from ghostify.report.html.summary import ArtifactSummary
from ghostify.types import Score


def test_terms_that_are_on_the_page(artifact, sites, make):
    assert [*glossary(ArtifactSummary(artifact))] == ["Ghost module", "MACs", "error of a layer"]
    make.measure(artifact, sites)
    terms = glossary(ArtifactSummary(artifact))
    assert [*terms][3:] == ["sensitivity", "realized", "max. error"]
    assert terms["sensitivity"].startswith("KL (nats)")


def test_two_errors_are_told_apart(artifact):
    rows = {"converted": EvaluationRow(Score(9, relative_error=0.1), 4, 2)}
    record(artifact, "evaluation", Evaluation("digits", 0, rows).to_dict())
    terms = glossary(ArtifactSummary(artifact))
    assert terms["error of a layer"].startswith("weighted feature-map error")
    assert terms["error of the outputs"].startswith("squared error of the outputs")


def test_errors_of_layers_are_those_of_the_conversion(artifact, make):
    make.change(artifact, lambda recipe: recipe.update(lineage=["converted", "recovered"]))
    meaning = glossary(ArtifactSummary(artifact))["error of a layer"]
    assert meaning.startswith("before training: weighted")


def test_a_pruned_network(artifact, pruned_plan, make):
    make.change(artifact, lambda recipe: recipe.update(plan=pruned_plan.to_dict()))
    assert "channels" in glossary(ArtifactSummary(artifact))
