"""Kubeflow Pipelines component of the step profile_reference."""

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def profile_reference(
    raw: str,
    raw_revision: str,
    train: dsl.Input[dsl.Dataset],
    validation: dsl.Input[dsl.Dataset],
    text_out_of_fold: dsl.Input[dsl.Dataset],
    image_out_of_fold: dsl.Input[dsl.Dataset],
    fusion: dsl.Input[dsl.Model],
    seed: int,
    store: str,
    reference: dsl.Output[dsl.Artifact],
) -> int:
    """Measure the training products and their out-of-fold predictions; return how many.

    Args:
        raw: Folder of the raw files, or s3://bucket/prefix.
        raw_revision: Revision of these files when the run started.
        train: Products that the models are trained on.
        validation: More products, with a category like those of train.
        text_out_of_fold: Predictions of text models that were not trained on the product.
        image_out_of_fold: Predictions of image models that were not trained on the product.
        fusion: Bundle of the fusion model.
        seed: Seed of the folds and of the sample.
        store: URL of the object store where a failure is recorded.
    """
    from pathlib import Path

    from components.profile_reference import step
    from components.shared import failures
    from components.shared import raw as raw_files

    with failures.record_step("profile_reference", store):
        return step.run(
            train=Path(train.path),
            validation=Path(validation.path),
            raw=raw_files.fetch(raw, raw_revision),
            text_out_of_fold=Path(text_out_of_fold.path),
            image_out_of_fold=Path(image_out_of_fold.path),
            fusion=Path(fusion.path),
            reference=Path(reference.path),
            seed=seed,
        )
