"""Kubeflow Pipelines component of the step fit_fusion."""

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def fit_fusion(
    train: dsl.Input[dsl.Dataset],
    validation: dsl.Input[dsl.Dataset],
    text_out_of_fold: dsl.Input[dsl.Dataset],
    image_out_of_fold: dsl.Input[dsl.Dataset],
    store: str,
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> float:
    """Fit the weights of text and image; return the weighted F1 on the products they are fitted on.

    Args:
        train: Products that the models are trained on.
        validation: More products, with a category like those of train.
        text_out_of_fold: Predictions of text models that were not trained on the product.
        image_out_of_fold: Predictions of image models that were not trained on the product.
        store: URL of the object store where a failure is recorded.
    """
    from pathlib import Path

    from components.fit_fusion import step
    from components.shared import failures

    with failures.record_step_failure("fit_fusion", store):
        paths = (train.path, validation.path, text_out_of_fold.path, image_out_of_fold.path, model.path)
        score = step.run(*map(Path, paths))
    metrics.log_metric("out_of_fold_weighted_f1", score)
    return score
