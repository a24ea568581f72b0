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
    """Put the release into service if the gate lets it pass; return whether it is.

    Args:
        release: Id of a published release.
        decision: What the gate decided about it, and all it was told.
        report: The comparison as a page.
        store: Where it was published: file:///folder or s3://bucket.
        tracking_uri: Where MLflow is; the alias champion is moved there.
        experiment: Name of the MLflow experiment.
        rollout: Where releases are put into service: file:///folder or kserve://namespace.
        service: Base URL of the fusion's server for the smoke test; empty: there is none to ask.
        smoke_deadline_s: How long the servers may take to answer with the release.
        releases_kept: How many of the newest releases stay in the store with those in use; 0: all.
        run_id: The run whose verdict this is; empty for a training by hand.
    """
    from pathlib import Path

    from components.promote import step
    from components.shared import failures

    with failures.record_step_failure("promote", store, run_id):
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
