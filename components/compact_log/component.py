"""Kubeflow Pipelines component of the step compact_log."""

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def compact_log(store: str, delete_after_days: int, retention_days: int) -> int:
    """Compact predictions, corrections and reviews into the prediction log; return how many.

    Args:
        store: URL of the object store: file:///folder or s3://bucket.
        delete_after_days: Age in days at which small objects of logged predictions are deleted; negative for never.
        retention_days: Age in days at which predictions are deleted everywhere; negative for never.
    """
    import sys

    from components.compact_log import step

    result = step.run(store, delete_after_days, retention_days=retention_days)
    sys.stdout.write(f"{result}\n")
    return result.predictions + result.corrections + result.reviews + result.revisions
