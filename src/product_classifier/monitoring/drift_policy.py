"""What drift leads to: nothing, a notification, products to label, a run from fewer corrections."""

import hashlib
import json
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import AwareDatetime

from product_classifier.errors import ObjectExists
from product_classifier.feedback.records import Record
from product_classifier.monitoring.drift_windows import PREFIX, DriftWindow
from product_classifier.store import ObjectStore

Policy = Literal["off", "notify", "label", "retrain"]
"""Each does what the one before does, and more."""
POLICIES: Final[tuple[Policy, ...]] = ("off", "notify", "label", "retrain")
NOTIFIED: Final = f"{PREFIX}notified/"
QUEUE: Final = "queue/drift/"


class QueuedProduct(Record):
    """A prediction to label, and why."""

    prediction_id: str
    reason: str


class DriftQueue(Record):
    """Predictions of a drifted window to label; `queue/drift/<window>.json`."""

    window_id: str
    created: AwareDatetime
    products: tuple[QueuedProduct, ...]

    @property
    def key(self) -> str:
        """Key of the object."""
        return f"{QUEUE}{self.window_id}.json"


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


def queue_of(window: DriftWindow, confidences: dict[str, float], limit: int, now: datetime) -> DriftQueue:
    """Return the products to label: the examples of the drift, then the least confident predictions.

    Args:
        window: The report.
        confidences: Confidence of the predictions of the window, by id.
        limit: The most products.
        now: Current time (UTC).
    """
    reasons: dict[str, str] = {}
    for measure in window.measures:
        for mover in measure.movers:
            if measure.drifted and mover.name in confidences:
                reasons.setdefault(mover.name, f"drift of {measure.name}")
    for prediction_id in sorted(confidences, key=lambda one: (confidences[one], one)):
        if len(reasons) >= limit:
            break
        reasons.setdefault(prediction_id, f"drift, confidence {confidences[prediction_id]:.2f}")
    products = tuple(QueuedProduct(prediction_id=one, reason=why) for one, why in list(reasons.items())[:limit])
    return DriftQueue(window_id=window.window_id, created=now, products=products)
