"""Kubeflow Pipelines component of the step merge_corrections."""

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def merge_corrections(
    taxonomy: dsl.Input[dsl.Artifact],
    train: dsl.Input[dsl.Dataset],
    validation: dsl.Input[dsl.Dataset],
    test: dsl.Input[dsl.Dataset],
    unseen: dsl.Input[dsl.Dataset],
    snapshot: str,
    photo_revision: str,
    store: str,
    merged: dsl.Output[dsl.Dataset],
    calibration: dsl.Output[dsl.Dataset],
    answerable: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
) -> int:
    """Merge trusted corrections into the training split; return the number of products to train on.

    Args:
        taxonomy: The categories.
        train: Products to train on.
        validation: Products to calibrate on; a correction of one of them is not used.
        test: The frozen hold-out; a correction of one of them is not used.
        unseen: Products of the simulation.
        snapshot: SHA-256 of the frozen snapshot of corrections; empty for none.
        photo_revision: Digest of the photos in the store; a cached result of another one is not reused.
        store: URL of the object store with snapshot and photos, where a failure is recorded.
    """
    import json
    from pathlib import Path

    from components.merge_corrections import step
    from components.shared import failures
    from product_classifier.taxonomy.folder import read_taxonomy

    with failures.record_step("merge_corrections", store):
        products = step.run(
            train=Path(train.path),
            validation=Path(validation.path),
            test=Path(test.path),
            unseen=Path(unseen.path),
            merged=Path(merged.path),
            calibration=Path(calibration.path),
            answerable=Path(answerable.path),
            report=Path(report.path),
            taxonomy=read_taxonomy(Path(taxonomy.path)),
            store=store,
            snapshot=snapshot,
        )
    merged.metadata["photo_revision"] = photo_revision
    for outcome, count in json.loads(Path(report.path).read_text(encoding="utf-8"))["corrections"].items():
        metrics.log_metric(f"corrections_{outcome}", count)
    return products
