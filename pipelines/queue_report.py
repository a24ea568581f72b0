"""Write the queue of predictions to label next to the object store."""

import json
from datetime import UTC, datetime, timedelta

from rich.console import Console

from pipelines.settings import PipelineSettings
from product_classifier.feedback.review_queue import build_queue
from product_classifier.feedback.unreviewed import unreviewed_predictions
from product_classifier.store import open_store
from product_classifier.taxonomy.stored_codes import to_stored


def write_queue(settings: PipelineSettings, days: int, limit: int, console: Console) -> str:
    """Write `reports/queue/<time>.json` from the predictions of `days` days; return its key."""
    now = datetime.now(UTC)
    since = (now - timedelta(days=days)).date()
    store = open_store(settings.store)
    queue = build_queue(unreviewed_predictions(store, since), limit)
    entries = [
        {
            "prediction_id": one.prediction_id,
            "code": to_stored(one.code),
            "confidence": one.confidence,
            "reason": one.reason,
        }
        for one in queue
    ]
    document = {"created": now.isoformat(timespec="seconds"), "since": since.isoformat(), "predictions": entries}
    key = f"reports/queue/{now:%Y%m%dT%H%M%S}.json"
    store.put(key, json.dumps(document, indent=1).encode() + b"\n")
    console.print(f"{len(queue)} predictions to label: {settings.store}/{key}", highlight=False)
    return key
