"""The figures of a report, as SVG that stands in the page itself."""

import io
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from inference.simulation.replay import Outcome
from inference.simulation.tally import Judged
from product_classifier.taxonomy import CODES

BLUE, RED = "#26549e", "#a3232b"
WIDE, TALL = (9.0, 3.2), (9.0, 7.0)
SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "simulation", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3}


def latency_over_time(outcomes: Sequence[Outcome]) -> str:
    """Draw each answer's latency at its planned moment; what was not answered is red."""
    axes = _axes(WIDE, "planned moment (s)", "latency (ms)")
    for answered, colour, name in ((True, BLUE, "answered"), (False, RED, "not answered")):
        mine = [one for one in outcomes if (one.answer is not None) is answered]
        if mine:
            times, latencies = [one.planned_s for one in mine], [one.latency_s * 1000 for one in mine]
            axes.scatter(times, latencies, s=5, color=colour, label=name, linewidths=0)
    if outcomes:
        axes.set_yscale("log")
        axes.legend(loc="upper right")
    return _svg(axes)


def latency_distribution(outcomes: Sequence[Outcome]) -> str:
    """Draw which share of the answers came within how many milliseconds."""
    axes = _axes(WIDE, "latency (ms)", "share of answers")
    latencies = np.sort([one.latency_s * 1000 for one in outcomes if one.answer is not None])
    if len(latencies):
        axes.step(latencies, np.arange(1, len(latencies) + 1) / len(latencies), where="post", color=BLUE)
        axes.set_xscale("log")
        for share in (0.5, 0.95, 0.99):
            axes.axhline(share, color=RED, linewidth=0.6, linestyle=":")
    return _svg(axes)


def running_f1(judged: Judged) -> str:
    """Draw the weighted F1 of all answers so far."""
    axes = _axes(WIDE, "answers", "weighted F1 so far")
    if curve := judged.running_f1():
        axes.plot(*zip(*curve, strict=True), color=BLUE)
    axes.set_ylim(0, 1)
    return _svg(axes)


def f1_by_category(judged: Judged) -> str:
    """Draw the F1 of each category that was asked about."""
    found = [one for one in judged.by_category() if one["items"]]
    axes = _axes(WIDE, "category", "F1")
    axes.bar([str(one["code"]) for one in found], [one["f1"] for one in found], color=BLUE)
    axes.tick_params(axis="x", rotation=70)
    axes.set_ylim(0, 1)
    return _svg(axes)


def confusion(judged: Judged) -> str:
    """Draw which share of each category (rows) was answered how (columns)."""
    counts: NDArray[np.int64] = judged.confusion()
    axes = _axes(TALL, "answered", "is")
    axes.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    names = [str(code) for code in CODES]
    axes.set_xticks(range(len(CODES)), names, rotation=70)
    axes.set_yticks(range(len(CODES)), names)
    axes.grid(visible=False)
    for row, column in np.argwhere(counts):
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=6)
    return _svg(axes)


def _axes(size: tuple[float, float], x: str, y: str) -> Axes:
    with mpl.rc_context(SETTINGS):
        axes: Axes = Figure(figsize=size, layout="constrained").add_subplot()
        axes.set_xlabel(x)
        axes.set_ylabel(y)
    return axes


def _svg(axes: Axes) -> str:
    figure, out = axes.get_figure(root=True), io.StringIO()
    assert figure is not None  # noqa: S101 - `_axes` made it
    with mpl.rc_context(SETTINGS):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()[out.getvalue().index("<svg") :]
