"""What drift leads to: nothing, a notification, products to label, a run from fewer corrections."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from product_classifier.errors import ObjectExists
from product_classifier.feedback.queue_records import ENTRIES_PREFIX, QueueEntry
from product_classifier.feedback.records import created_at
from product_classifier.monitoring.drift_windows import PREFIX, DriftWindow
from product_classifier.store import ObjectStore

Policy = Literal["off", "notify", "label", "retrain"]
"""Each does what the one before does, and more."""
POLICIES: Final[tuple[Policy, ...]] = ("off", "notify", "label", "retrain")
NOTIFIED: Final = f"{PREFIX}notified/"
OFFERED: Final = timedelta(days=30)
"""Age of the predictions whose entries are kept."""


def includes(policy: Policy, action: Policy) -> bool:
    """Return whether a policy takes an action."""
    return POLICIES.index(policy) >= POLICIES.index(action)


def finding_key(window: DriftWindow) -> str:
    """Return the key that stands for a finding: the measures that drifted, of a release, on a day."""
    drifted = sorted(one.name for one in window.measures if one.drifted)
    text = json.dumps([window.release, drifted, window.created.date().isoformat()])
    return f"{NOTIFIED}{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def claim_notification(store: ObjectStore, window: DriftWindow) -> bool:
    """Return whether no notification of this finding was sent yet, and record that one is."""
    try:
        store.put(finding_key(window), window.window_id.encode(), only_if_absent=True)
    except ObjectExists:
        return False
    return True


def notification(window: DriftWindow) -> dict[str, Any]:
    """Return the body of a webhook; Slack and compatible servers show `text`."""
    reasons = "\n".join(f"• {reason}" for reason in window.reasons)
    return {
        "text": f"Drift in {window.products} predictions of {window.release}\n{reasons}",
        "event": "drift_found",
        "window_id": window.window_id,
        "release": window.release,
        "since": window.since.isoformat(),
        "until": window.until.isoformat(),
        "products": window.products,
        "drifted": sorted(one.name for one in window.measures if one.drifted),
        "report": window.key,
    }


def queue_entries(window: DriftWindow, confidences: dict[str, float], limit: int) -> list[QueueEntry]:
    """Return the products to label: the examples of the drift, then the least confident predictions.

    An entry has the id of its prediction, so that a prediction has one entry however often it is in a drifted window.

    Args:
        window: The report.
        confidences: Confidence of the predictions of the window, by id.
        limit: The most entries.
    """
    details: dict[str, str] = {}
    for measure in window.measures:
        for mover in measure.movers:
            if measure.drifted and mover.name in confidences:
                details.setdefault(mover.name, f"drift of {measure.name}")
    for prediction_id in sorted(confidences, key=lambda one: (confidences[one], one)):
        if len(details) >= limit:
            break
        details.setdefault(prediction_id, f"drift, confidence {confidences[prediction_id]:.2f}")
    chosen = list(details.items())[:limit]
    return [
        QueueEntry(
            entry_id=prediction_id,
            created=window.created,
            reason="drifted",
            detail=detail,
            score=1 - rank / max(limit, 1),
            prediction_id=prediction_id,
        )
        for rank, (prediction_id, detail) in enumerate(chosen)
    ]


def queue_products(store: ObjectStore, entries: Sequence[QueueEntry], now: datetime) -> int:
    """Store entries that are new, delete those that are too old; return how many are new."""
    prefix = f"{ENTRIES_PREFIX}drifted/"
    for key in list(store.list(prefix)):
        if created_at(key.removeprefix(prefix).removesuffix(".json")) < now - OFFERED:
            store.delete(key)
    added = 0
    for entry in entries:
        with suppress(ObjectExists):
            store.put(entry.key, entry.to_json(), only_if_absent=True)
            added += 1
    return added
