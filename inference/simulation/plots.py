"""Plots of a report as SVG, to be embedded in the page."""

import io
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from inference.simulation.open_loop import RequestOutcome
from inference.simulation.prediction_scores import PredictionScores
from product_classifier.evaluation.scores import MATRIX_CATEGORIES

BLUE, RED = "#26549e", "#a3232b"
WIDE, TALL = (9.0, 3.2), (9.0, 7.0)
PLOTTED_CONFUSIONS = 40
TICK_CHARACTERS = 24
SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "simulation", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3}


def latency_over_time(outcomes: Sequence[RequestOutcome]) -> str:
    """Plot the latency of each request at its planned time; failed requests are red."""
    axes = _axes(WIDE, "planned time (s)", "latency (ms)")
    for successful, color, label in ((True, BLUE, "answered"), (False, RED, "not answered")):
        group = [one for one in outcomes if (one.prediction is not None) is successful]
        if group:
            times, latencies = [one.planned_s for one in group], [one.latency_s * 1000 for one in group]
            axes.scatter(times, latencies, s=5, color=color, label=label, linewidths=0)
    if outcomes:
        axes.set_yscale("log")
        axes.legend(loc="upper right")
    return _svg(axes)


def latency_distribution(outcomes: Sequence[RequestOutcome]) -> str:
    """Plot the cumulative distribution of the latency of answered requests."""
    axes = _axes(WIDE, "latency (ms)", "share of requests")
    latencies = np.sort([one.latency_s * 1000 for one in outcomes if one.prediction is not None])
    if len(latencies):
        axes.step(latencies, np.arange(1, len(latencies) + 1) / len(latencies), where="post", color=BLUE)
        axes.set_xscale("log")
        for share in (0.5, 0.95, 0.99):
            axes.axhline(share, color=RED, linewidth=0.6, linestyle=":")
    return _svg(axes)


def running_f1(found: PredictionScores) -> str:
    """Plot the weighted F1 of the first n predictions over n."""
    axes = _axes(WIDE, "predictions", "weighted F1")
    if curve := found.running_f1():
        axes.plot(*zip(*curve, strict=True), color=BLUE)
    axes.set_ylim(0, 1)
    return _svg(axes)


def f1_by_category(found: PredictionScores) -> str:
    """Plot the F1 of each category that occurs; of many those with the most products."""
    categories = [one for one in found.by_category() if one["items"]]
    if len(categories) > MATRIX_CATEGORIES:
        categories = sorted(categories, key=lambda one: -one["items"])[:MATRIX_CATEGORIES]
    axes = _axes(WIDE, "category", "F1")
    axes.bar(range(len(categories)), [one["f1"] for one in categories], color=BLUE)
    axes.set_xticks(range(len(categories)), [_tick(str(one["code"])) for one in categories], rotation=70)
    axes.set_ylim(0, 1)
    return _svg(axes)


def confusion(found: PredictionScores) -> str:
    """Plot the share of each category (rows) predicted as another; of many the largest confusions."""
    if len(found.codes) > MATRIX_CATEGORIES:
        return _largest_confusions(found)
    counts: NDArray[np.int64] = found.confusion()
    axes = _axes(TALL, "predicted category", "category")
    axes.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    names = [_tick(code) for code in found.codes]
    axes.set_xticks(range(len(names)), names, rotation=70)
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False)
    for row, column in np.argwhere(counts):
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=6)
    return _svg(axes)


def _largest_confusions(found: PredictionScores) -> str:
    codes = found.codes
    pairs = found.largest_confusions(PLOTTED_CONFUSIONS)[::-1]
    axes = _axes(TALL, "products", "")
    axes.barh(range(len(pairs)), [one.items for one in pairs], color=BLUE)
    names = [f"{_tick(codes[one.actual])} → {_tick(codes[one.predicted])}" for one in pairs]
    axes.set_yticks(range(len(pairs)), names)
    return _svg(axes)


def _tick(code: str) -> str:
    """Return the end of a long code, such as a path: whole ones would leave no room for the plot."""
    return code if len(code) <= TICK_CHARACTERS else f"…{code[1 - TICK_CHARACTERS :]}"


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
