"""Kubeflow Pipelines component of the step find_suspects."""

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def find_suspects(
    raw: str,
    raw_revision: str,
    taxonomy: dsl.Input[dsl.Artifact],
    train: dsl.Input[dsl.Dataset],
    validation: dsl.Input[dsl.Dataset],
    text_out_of_fold: dsl.Input[dsl.Dataset],
    image_out_of_fold: dsl.Input[dsl.Dataset],
    fusion: dsl.Input[dsl.Model],
    limit: int,
    store: str,
    suspects: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
) -> int:
    """List the training labels that are probably wrong; return how many.

    Args:
        raw: Folder of the raw files, or s3://bucket/prefix.
        raw_revision: Revision of these files when the run started.
        taxonomy: The categories.
        train: Products that the models are trained on.
        validation: More products, with a category like those of train.
        text_out_of_fold: Predictions of text models that were not trained on the product.
        image_out_of_fold: Predictions of image models that were not trained on the product.
        fusion: Bundle of the fusion model.
        limit: Number of labels that are listed.
        store: URL of the object store where a failure is recorded and photos of the listed products are kept.
    """
    from pathlib import Path

    from components.find_suspects import step
    from components.shared import failures
    from components.shared import raw as raw_files
    from product_classifier.taxonomy.folder import read_taxonomy

    with failures.record_step("find_suspects", store):
        return step.run(
            train=Path(train.path),
            validation=Path(validation.path),
            raw=raw_files.fetch(raw, raw_revision, store),
            text_out_of_fold=Path(text_out_of_fold.path),
            image_out_of_fold=Path(image_out_of_fold.path),
            fusion=Path(fusion.path),
            suspects=Path(suspects.path),
            report=Path(report.path),
            taxonomy=read_taxonomy(Path(taxonomy.path)),
            limit=limit,
            store=store,
        )
