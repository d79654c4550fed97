"""Bar chart of latencies."""

from __future__ import annotations

from pathlib import Path

from ghostify.report.plots.figure import new_chart, write_plot
from ghostify.report.timing import Timing


def plot_timing(timing: Timing, file: Path) -> None:
    """Draw speed-ups as bars and MACs ratios as lines; of a single network, its time."""
    others = [model for model in timing.macs if model != timing.first]
    shown = others or [timing.first]
    settings = list(dict.fromkeys("\n".join(m.setting) for m in timing.measurements))
    figure, axes = new_chart(file, 2 + max(len(settings), 1) * max(1.1, 0.6 * len(shown)), 5)
    width = 0.8 / len(shown)
    for place, model in enumerate(shown):
        own = [m for m in timing.measurements if m.model == model]
        shift = (place - (len(shown) - 1) / 2) * width
        places = [settings.index("\n".join(m.setting)) + shift for m in own]
        spreads = [m.speedup if others else m.seconds for m in own]
        medians = [s.median for s in spreads]
        errors = [[s.median - s.lower for s in spreads], [s.upper - s.median for s in spreads]]
        axes.bar(places, medians, width, yerr=errors, capsize=3, color=f"C{place}", label=model)
        for x, number in zip(places, medians, strict=True):
            axes.annotate(f"{number:.3g}", (x, 0), xytext=(0, 4), textcoords="offset points",
                          ha="center", color="white")  # fmt: skip
        if others:
            axes.axhline(timing.macs_ratio(model), color=f"C{place}", linestyle="--",
                         label=f"{model}: MACs ratio")  # fmt: skip
    if others:
        axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(settings)), settings)
    axes.set_ylabel(f"speed-up over {timing.first}" if others else "seconds per run")
    axes.set_title(timing.title)
    figure.legend(loc="outside lower center", ncols=2)
    write_plot(figure, file)
