"""Print the result of a local run."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipelines.local.runner import LocalRunResult

METRICS = {
    "weighted_f1": "weighted F1",
    "macro_f1": "macro F1",
    "accuracy": "accuracy",
    "ece": "ECE",
    "items": "products",
}
"""Name in the scores file to column heading."""

INPUTS = {"text": "text", "image": "photo", "fusion": "text or photo"}
"""Model to the products of the hold-out it is evaluated on."""

BOTH_INPUTS = "text and photo"
BOTH_SUFFIX = "_where_both"
"""Ending of the scores computed on products with text and photo only."""


def print_result(result: LocalRunResult, console: Console) -> None:
    """Print the scores of the three models, the release, the verdict and the duration."""
    scores = json.loads(Path(result.outputs["scores"].path).read_text(encoding="utf-8"))
    verdict = json.loads(Path(result.outputs["verdict"].path).read_text(encoding="utf-8"))
    decision = "promoted" if verdict["promoted"] else "not promoted"
    console.print(_table(scores))
    console.print(f"release   {result.outputs['release']}", highlight=False)
    console.print(f"verdict   {decision}: {'; '.join(verdict['reasons'])}", highlight=False)
    console.print(f"duration  {sum(result.seconds.values()):.1f} s, logs in {result.folder / 'logs'}", highlight=False)


def _table(scores: dict[str, Any]) -> Table:
    table = Table("model", "products with", *METRICS.values(), title="scores on the hold-out")
    for suffix, inputs in (("", INPUTS), (BOTH_SUFFIX, dict.fromkeys(INPUTS, BOTH_INPUTS))):
        for model, products in inputs.items():
            found = scores.get(f"{model}{suffix}", {})
            table.add_row(model, products, *(_format(found.get(name)) for name in METRICS))
        table.add_section()
    return table


def _format(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
