from kfp import dsl

from components import image


@dsl.component(base_image=image.TRAINER, install_kfp_package=False)
def promote(
    release: str,
    store: str,
    tracking_uri: str,
    experiment: str,
    rollout: str,
    verdict: dsl.Output[dsl.Artifact],
) -> bool:
    """Put the release into service if there is no champion or it is not worse; return whether it was.

    Args:
        release: Id of a published release.
        store: Where it was published: file:///folder or s3://bucket.
        tracking_uri: Where MLflow is; the alias champion is moved there.
        experiment: Name of the MLflow experiment.
        rollout: Where releases are put into service: file:///folder.
    """
    from pathlib import Path

    from components.promote import step

    return step.run(
        release=release,
        store=store,
        tracking_uri=tracking_uri,
        rollout=rollout,
        verdict=Path(verdict.path),
        experiment=experiment,
    )
