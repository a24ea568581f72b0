"""Show a person what a local run gave."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipelines.local.run import Outcome

COLUMNS = {
    "weighted_f1": "weighted F1",
    "macro_f1": "macro F1",
    "accuracy": "accuracy",
    "ece": "ECE",
    "items": "items",
}


GROUPS = {"{kind}": "", "both": "_where_both"}
SEES = {"text": "words", "image": "photo", "fusion": "either"}


def show(outcome: Outcome, console: Console) -> None:
    """Print the scores of the three models, the release and the gate's verdict."""
    outputs = outcome.outputs
    scores = json.loads(Path(outputs["scores"].path).read_text(encoding="utf-8"))
    verdict = json.loads(Path(outputs["verdict"].path).read_text(encoding="utf-8"))
    console.print(_table(scores))
    console.print(f"release  {outputs['release']}", highlight=False)
    word = "promoted" if verdict["promoted"] else "not promoted"
    console.print(f"verdict  {word}: {'; '.join(verdict['reasons'])}", highlight=False)
    console.print(f"took     {sum(outcome.seconds.values()):.1f} s, logs in {outcome.folder / 'logs'}", highlight=False)


def _table(scores: dict[str, Any]) -> Table:
    table = Table("model", "products with", *COLUMNS.values(), title="scores on the hold-out")
    for judged_on, suffix in GROUPS.items():
        for kind in ("text", "image", "fusion"):
            found = scores.get(f"{kind}{suffix}", {})
            table.add_row(kind, judged_on.format(kind=SEES[kind]), *(_shown(found.get(name)) for name in COLUMNS))
        table.add_section()
    return table


def _shown(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
