"""Kubeflow Pipelines component of the step act_on_drift."""

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def act_on_drift(
    store: str,
    window_id: str,
    policy: str,
    webhook: str,
    min_corrections: int,
    queue_limit: int,
    private_webhook: bool,
) -> str:
    """Do what the policy says about a window; return what was done.

    Args:
        store: URL of the object store: file:///folder or s3://bucket.
        window_id: Id of the report.
        policy: `off`, `notify`, `label` or `retrain`.
        webhook: URL that notifications are sent to; empty for none.
        min_corrections: Trusted corrections from which a run starts after drift.
        queue_limit: Products of the window that are queued.
        private_webhook: Whether the webhook may have a private address.
    """
    from typing import cast

    from components.act_on_drift import step
    from product_classifier.monitoring.drift_policy import Policy

    chosen = cast("Policy", policy)
    return "; ".join(
        step.run(store, window_id, chosen, webhook, min_corrections, queue_limit, private_webhook=private_webhook)
    )
