"""Kubeflow Pipelines component of the step fit_fusion."""

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def fit_fusion(
    taxonomy: dsl.Input[dsl.Artifact],
    train: dsl.Input[dsl.Dataset],
    validation: dsl.Input[dsl.Dataset],
    text_out_of_fold: dsl.Input[dsl.Dataset],
    image_out_of_fold: dsl.Input[dsl.Dataset],
    target_precision: float,
    seed: int,
    store: str,
    model: dsl.Output[dsl.Model],
    curves: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
) -> float:
    """Fit the weights of text and image; return the cross-validated weighted F1.

    Args:
        taxonomy: The categories.
        train: Products that the models are trained on.
        validation: More products, with a category like those of train.
        text_out_of_fold: Predictions of text models that were not trained on the product.
        image_out_of_fold: Predictions of image models that were not trained on the product.
        target_precision: Share of the predictions accepted without review that must be right.
        seed: Seed of the folds.
        store: URL of the object store where a failure is recorded.
    """
    from pathlib import Path

    from components.fit_fusion import step
    from components.shared import failures
    from product_classifier.taxonomy.folder import read_taxonomy

    with failures.record_step("fit_fusion", store):
        score = step.run(
            Path(train.path),
            Path(validation.path),
            Path(text_out_of_fold.path),
            Path(image_out_of_fold.path),
            Path(model.path),
            read_taxonomy(Path(taxonomy.path)),
            target_precision,
            seed,
            Path(curves.path),
        )
    metrics.log_metric("out_of_fold_weighted_f1", score)
    model.metadata.update({"target_precision": target_precision, "seed": seed})
    return score
