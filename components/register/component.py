"""Kubeflow Pipelines component of the step register."""

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def register(
    taxonomy: dsl.Input[dsl.Artifact],
    text: dsl.Input[dsl.Model],
    image: dsl.Input[dsl.Model],
    fusion: dsl.Input[dsl.Model],
    metrics: dsl.Input[dsl.Artifact],
    report: dsl.Input[dsl.HTML],
    suspects: dsl.Input[dsl.Artifact],
    reference: dsl.Input[dsl.Artifact],
    curves: dsl.Input[dsl.Artifact],
    merge_report: dsl.Input[dsl.Artifact],
    train: dsl.Input[dsl.Dataset],
    validation: dsl.Input[dsl.Dataset],
    test: dsl.Input[dsl.Dataset],
    unseen: dsl.Input[dsl.Dataset],
    data_revision: str,
    store: str,
    tracking_uri: str,
    experiment: str,
    git_commit: str,
    snapshot: str,
    started: str,
    release: dsl.Output[dsl.Model],
) -> str:
    """Publish a release to the object store, register its models in MLflow; return its id.

    Args:
        taxonomy: The categories.
        text: Bundle of the text model; its metadata becomes the parameters of the MLflow run.
        image: Bundle of the image model, likewise.
        fusion: Bundle of the fusion model, likewise.
        metrics: Scores on the hold-out.
        report: The evaluation as a page.
        suspects: The training labels that are probably wrong.
        reference: The reference profile of the release.
        curves: Weighted F1 of each model by fold.
        merge_report: What became of the corrections.
        train: The products the models were trained on.
        validation: The products they were trained or calibrated on.
        test: The hold-out the scores were measured on.
        unseen: Products that a simulation on a cluster reads from the store.
        data_revision: Revision of the catalogue the models were trained on.
        store: URL of the object store: file:///folder or s3://bucket.
        tracking_uri: URI of MLflow.
        experiment: Name of the MLflow experiment.
        git_commit: Commit of the code; empty if unknown.
        snapshot: SHA-256 of the snapshot of corrections; empty for none.
        started: Start of the run (ISO 8601).
    """
    import json
    from pathlib import Path

    from components.register import step
    from components.shared import failures
    from components.shared.published_releases import publish_unseen
    from product_classifier.taxonomy.folder import read_taxonomy

    with failures.record_step("register", store):
        publish_unseen(Path(unseen.path), store)
        return step.run(
            text=Path(text.path),
            image=Path(image.path),
            fusion=Path(fusion.path),
            metrics=Path(metrics.path),
            report=Path(report.path),
            test=Path(test.path),
            release=Path(release.path),
            taxonomy=read_taxonomy(Path(taxonomy.path)),
            store=store,
            tracking_uri=tracking_uri,
            data_revision=data_revision,
            experiment=experiment,
            corrections=snapshot,
            git_commit=git_commit,
            parameters=json.dumps({"text": text.metadata, "image": image.metadata, "fusion": fusion.metadata}),
            train=Path(train.path),
            validation=Path(validation.path),
            merge_report=Path(merge_report.path),
            suspects=Path(suspects.path),
            reference=Path(reference.path),
            curves=Path(curves.path),
            started=started,
        )
