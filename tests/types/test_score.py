import pytest

from ghostify.types import GhostifyError, Score


def test_the_better_of_two():
    assert Score(1, top1=0.9, kl=9.0).selection_score > Score(1, top1=0.8, kl=0.0).selection_score
    assert (
        Score(1, agreement=0.5, kl=0.1).selection_score
        > Score(1, agreement=0.9, kl=0.2).selection_score
    )
    assert (
        Score(1, relative_error=0.1).selection_score > Score(1, relative_error=0.2).selection_score
    )
    with pytest.raises(GhostifyError, match="needs labels or a teacher"):
        _ = Score(1).selection_score
