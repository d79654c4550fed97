"""Bar chart of latencies."""

import pytest

from ghostify import GhostifyError, Timing
from ghostify.report.plots.timing import plot_timing
from ghostify.report.timing import Measurement, Spread

pytest.importorskip("matplotlib")


def measurement(model, median, speedup):
    seconds = Spread(median, 0.9 * median, 1.1 * median)
    return Measurement(model, "eager", 1, 1, 7, seconds, Spread(speedup, 0.5, 9))


PAIR = (measurement("resnet50", 0.003, 1.0), measurement("ghost", 0.002, 1.5))
TIMING = Timing("1x3x8x8", {"resnet50": 4_000_000, "ghost": 2_000_000}, "memory", PAIR)
ALONE = Timing("1x3x8x8", {"resnet50": 4_000_000}, "memory", PAIR[:1])


@pytest.mark.parametrize("timing", [TIMING, ALONE])
def test_files(tmp_path, timing):
    plot_timing(timing, tmp_path / "bars.svg")
    plot_timing(timing, tmp_path / "bars.png")
    assert (tmp_path / "bars.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert (tmp_path / "bars.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 2


def test_an_unknown_ending(tmp_path):
    with pytest.raises(GhostifyError, match="the ending must be one such as .png"):
        plot_timing(TIMING, tmp_path / "bars.doc")
