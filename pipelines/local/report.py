"""Print the result of a local run."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

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

INPUTS = {"text": "text", "image": "photo", "fusion": "either"}
"""Model to the input that products of the hold-out need to be part of its scores."""

BOTH_SUFFIX = "_where_both"
"""Suffix of the scores on products with text and photo."""


def print_result(result: LocalRunResult, console: Console, store: str) -> None:
    """Print the scores of the three models, the release, the verdict and the duration."""
    scores = json.loads(Path(result.outputs["scores"].path).read_text(encoding="utf-8"))
    verdict = json.loads(Path(result.outputs["verdict"].path).read_text(encoding="utf-8"))
    decision = "promoted" if verdict["promoted"] else "not promoted"
    console.print(_table(scores))
    console.print(f"release   {result.outputs['release']}", highlight=False)
    console.print(f"verdict   {decision}: {'; '.join(verdict['reasons'])}", highlight=False)
    console.print(f"page      {_page(store, str(result.outputs['release']))}", highlight=False)
    console.print(f"duration  {sum(result.seconds.values()):.1f} s, logs in {result.folder / 'logs'}", highlight=False)


def _page(store: str, release: str) -> str:
    """Return where the page of the promotion is: a file if the store is a folder, else its URL."""
    url = f"{store}/reports/promotions/{release}.html"
    parts = urlsplit(url)
    return unquote(parts.path) if parts.scheme == "file" else url


def _table(scores: dict[str, Any]) -> Table:
    table = Table("model", "input", *METRICS.values(), title="scores on the hold-out")
    for suffix, required in (("", INPUTS), (BOTH_SUFFIX, dict.fromkeys(INPUTS, "both"))):
        for model, inputs in required.items():
            found = scores.get(f"{model}{suffix}", {})
            scored = found if found.get("items") else {"items": found.get("items")}  # scores of no product are 0
            table.add_row(model, inputs, *(_format(scored.get(name)) for name in METRICS))
        table.add_section()
    return table


def _format(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
