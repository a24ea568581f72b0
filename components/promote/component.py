"""Kubeflow Pipelines component of the step promote."""

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def promote(
    release: str,
    decision: dsl.Input[dsl.Artifact],
    report: dsl.Input[dsl.HTML],
    store: str,
    tracking_uri: str,
    experiment: str,
    rollout: str,
    service: str,
    smoke_deadline_s: float,
    releases_kept: int,
    run_id: str,
    verdict: dsl.Output[dsl.Artifact],
) -> bool:
    """Deploy the release if it passed the gate, and record the outcome; return whether it is deployed.

    Args:
        release: Id of a published release.
        decision: Decision of the gate, and what it is based on.
        report: The comparison as a page.
        store: URL of the object store with the releases: file:///folder or s3://bucket.
        tracking_uri: URI of MLflow, where the alias champion is set.
        experiment: Name of the MLflow experiment.
        rollout: URL of the deployment: file:///folder or kserve://namespace.
        service: Base URL of the fusion's server for the smoke test; empty to skip it.
        smoke_deadline_s: Seconds until all servers must serve the release.
        releases_kept: Number of the newest releases that stay in the store besides those in use; 0 keeps all.
        run_id: Run of the trigger; empty for a training that no trigger claimed.
    """
    from pathlib import Path

    from components.promote import step
    from components.shared import failures

    with failures.record_step("promote", store, run_id):
        return step.run(
            release=release,
            decision=Path(decision.path),
            report=Path(report.path),
            store=store,
            tracking_uri=tracking_uri,
            rollout=rollout,
            verdict=Path(verdict.path),
            service=service,
            run_id=run_id,
            experiment=experiment,
            smoke_deadline_s=smoke_deadline_s,
            releases_kept=int(releases_kept),
        )
