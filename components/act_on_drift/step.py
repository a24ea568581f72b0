"""Do what the policy says about a window: notify, queue products to label, request a run."""

from components.act_on_drift.webhook import send
from product_classifier.errors import InvalidSettings
from product_classifier.monitoring.drift_policy import (
    POLICIES,
    Policy,
    claim_notification,
    finding_key,
    includes,
    notification,
    queue_entries,
    queue_products,
)
from product_classifier.monitoring.drift_windows import DriftWindow, read_window_report, write_window
from product_classifier.monitoring.logged_window import read_window
from product_classifier.retraining.drift_request import DriftRequest, withdraw_drift_request, write_drift_request
from product_classifier.store import ObjectStore, open_store


def run(
    store: str,
    window_id: str,
    policy: Policy = "label",
    webhook: str = "",
    min_corrections: int = 10,
    queue_limit: int = 100,
    *,
    private_webhook: bool = False,
) -> tuple[str, ...]:
    """Act on a stored report, add what was done to it, and return that; safe to repeat.

    Args:
        store: URL of the object store: file:///folder or s3://bucket.
        window_id: Id of the report.
        policy: `off`, `notify`, `label` or `retrain`; each does what the one before does, and more.
        webhook: URL that notifications are sent to; empty for none.
        min_corrections: Trusted corrections from which a run starts after drift.
        queue_limit: Products of the window that are queued.
        private_webhook: Whether the webhook may have a private address.

    Raises:
        InvalidSettings: If there is no such policy.
    """
    if policy not in POLICIES:
        raise InvalidSettings(f"MONITOR_POLICY: {policy!r:.40} is no policy; use one of {', '.join(POLICIES)}")
    opened = open_store(store)
    window = read_window_report(opened, window_id)
    actions = _act(opened, window, policy, min_corrections, queue_limit)
    if window.verdict == "drift" and includes(policy, "notify") and webhook:
        actions.append(_notify(opened, window, webhook, private=private_webhook))
    write_window(opened, window.model_copy(update={"actions": tuple(actions)}))
    return tuple(actions)


def _act(store: ObjectStore, window: DriftWindow, policy: Policy, min_corrections: int, queue_limit: int) -> list[str]:
    if window.verdict == "quiet":
        withdraw_drift_request(store)
        return []
    if window.verdict != "drift" or policy == "off":
        return []
    actions = []
    if includes(policy, "label"):
        logged = read_window(store, window.since, window.until, window.release)
        confidences = {one: found.confidence for one, found in logged.predictions.items()}
        entries = queue_entries(window, confidences, queue_limit)
        added = queue_products(store, entries, window.created)
        actions.append(f"{len(entries)} products are queued to be labelled, {added} of them new")
    if includes(policy, "retrain"):
        request = DriftRequest(
            window_id=window.window_id,
            release=window.release,
            min_corrections=min_corrections,
            created=window.created,
        )
        write_drift_request(store, request)
        actions.append(
            f"a run starts from {min_corrections} trusted corrections that no run has used; without them none starts"
        )
    return actions


def _notify(store: ObjectStore, window: DriftWindow, webhook: str, *, private: bool) -> str:
    if not claim_notification(store, window):
        return "not notified: this finding was notified today"
    problem = send(webhook, notification(window), private_addresses=private)
    if problem:
        store.delete(finding_key(window))  # so that the next monitoring run tries again
        return f"not notified: {problem}"
    return "notified"
