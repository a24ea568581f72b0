"""Kubeflow Pipelines component of the step fit_fusion."""

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def fit_fusion(
    raw: str,
    raw_revision: str,
    validation: dsl.Input[dsl.Dataset],
    text: dsl.Input[dsl.Model],
    image: dsl.Input[dsl.Model],
    store: str,
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> float:
    """Fit the weights of text and image by category; return the weighted F1 on validation.

    Args:
        raw: Folder of the raw files, or s3://bucket/prefix.
        raw_revision: Revision of these files when the run started.
        validation: Products that neither model was trained on.
        text: Bundle of the text model.
        image: Bundle of the image model.
        store: URL of the object store where a failure is recorded.
    """
    from pathlib import Path

    from components.fit_fusion import step
    from components.shared import failures
    from components.shared import raw as raw_files

    with failures.record_step_failure("fit_fusion", store):
        folder = raw_files.fetch(raw, raw_revision)
        score = step.run(Path(validation.path), folder, Path(text.path), Path(image.path), Path(model.path))
    metrics.log_metric("validation_weighted_f1", score)
    return score
