"""SVG plots of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

AXES = {
    "P4": ("requests per second offered", "p99 in ms"),
    "P5": ("requests per second offered", "p99 in ms"),
    "P9": ("seconds", "responses per second"),
    "steps": ("products", "ms per product"),
    "collocated": ("requests per second offered", "p99 in ms"),
    "scaling": ("processes, or products of a batch", "products per second"),
}
LOGARITHMIC = {"P4", "P5", "steps", "collocated"}


def draw(folder: Path, found: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Write one SVG per row that has series; return the file name per row."""
    mpl.rcParams.update(
        {"svg.hashsalt": "product-classifier", "svg.fonttype": "none"}
    )  # equal results give equal bytes
    plotted = {}
    for row, one in found.items():
        if one.get("series"):
            _curve(folder / f"{row}.svg", row, one["series"])
            plotted[row] = f"{row}.svg"
    return plotted


def _curve(path: Path, row: str, series: Mapping[str, Any]) -> None:
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots()
    for name, points in series.items():
        axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=name)
    across, up = AXES.get(row, ("", ""))
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(alpha=0.3)
    if row in LOGARITHMIC:
        axes.set_yscale("log")
    if row == "steps":
        axes.set_xscale("log")
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
