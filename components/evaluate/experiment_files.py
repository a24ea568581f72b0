"""Files for DVC: few scores for tables of experiments, and rows for plots."""

import csv
import io
import json
from collections.abc import Iterable, Sequence

from components.evaluate.report import Evaluation

MODELS = ("text", "image", "fusion")
SCORES = ("weighted_f1", "ece")


def summary(evaluation: Evaluation) -> str:
    """Return the scores that compare experiments, by model (JSON)."""
    scores = {
        model: {name: round(float(getattr(evaluation.scores[model], name)), 4) for name in SCORES} for model in MODELS
    }
    scores["fusion"]["accepted_coverage"] = round(evaluation.selection.coverage, 4)
    return json.dumps(scores, indent=1) + "\n"


def categories(evaluation: Evaluation) -> str:
    """Return `category,f1,precision,recall,items` of the categories with items (CSV)."""
    codes = evaluation.predictions.codes
    found = sorted((one for one in evaluation.by_category if one.items), key=lambda one: codes[one.index])
    rows = [
        (codes[one.index], f"{one.f1:.4f}", f"{one.precision:.4f}", f"{one.recall:.4f}", one.items) for one in found
    ]
    return _csv(("category", "f1", "precision", "recall", "items"), rows)


def predictions(evaluation: Evaluation) -> str:
    """Return `actual,predicted` of every product (CSV), for a confusion matrix."""
    codes = evaluation.predictions.codes
    predicted = evaluation.fused.predicted
    pairs = zip(evaluation.predictions.labels, predicted, strict=True)
    return _csv(("actual", "predicted"), [(codes[actual], codes[found]) for actual, found in pairs])


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
