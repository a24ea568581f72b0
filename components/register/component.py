from kfp import dsl

from components.shared import step_image as images


@dsl.component(base_image=images.TRAINER, install_kfp_package=False)
def register(
    text: dsl.Input[dsl.Model],
    image: dsl.Input[dsl.Model],
    fusion: dsl.Input[dsl.Model],
    metrics: dsl.Input[dsl.Artifact],
    report: dsl.Input[dsl.HTML],
    test: dsl.Input[dsl.Dataset],
    unseen: dsl.Input[dsl.Dataset],
    data_revision: str,
    store: str,
    tracking_uri: str,
    experiment: str,
    git_commit: str,
    snapshot: str,
    release: dsl.Output[dsl.Model],
) -> str:
    """Assemble a release, publish it write-once, register its models; return its id.

    Args:
        text: Bundle of the text model; its metadata is what MLflow gets as parameters.
        image: Bundle of the image model.
        fusion: Bundle of the fusion model.
        metrics: Scores of the three on the hold-out.
        report: The report for people.
        test: The hold-out, which names what the scores can be compared with.
        unseen: What a simulation on a cluster looks for in the store.
        data_revision: What the models were trained on.
        store: Where releases go: file:///folder or s3://bucket.
        tracking_uri: Where MLflow is.
        experiment: Name of the MLflow experiment.
        git_commit: Commit of the code.
        snapshot: Hash of the corrections the models were trained with; empty for none.
    """
    import json
    from pathlib import Path

    from components.register import step
    from components.shared import failures
    from components.shared.published_releases import publish_unseen

    with failures.recorded("register", store):
        publish_unseen(Path(unseen.path), store)
        return step.run(
            text=Path(text.path),
            image=Path(image.path),
            fusion=Path(fusion.path),
            metrics=Path(metrics.path),
            report=Path(report.path),
            test=Path(test.path),
            release=Path(release.path),
            store=store,
            tracking_uri=tracking_uri,
            data_revision=data_revision,
            experiment=experiment,
            corrections=snapshot,
            git_commit=git_commit,
            parameters=json.dumps({"text": text.metadata, "image": image.metadata, "fusion": fusion.metadata}),
        )
