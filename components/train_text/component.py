"""Kubeflow Pipelines component of the step train_text."""

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def train_text(
    taxonomy: dsl.Input[dsl.Artifact],
    train: dsl.Input[dsl.Dataset],
    validation: dsl.Input[dsl.Dataset],
    buckets: int,
    C: float,  # noqa: N803 - scikit-learn's name
    encoder: str,
    epochs: int,
    budget_s: float,
    learning_rate: float,
    head_learning_rate: float,
    batch_size: int,
    micro_batch_size: int,
    patience: int,
    seed: int,
    store: str,
    model: dsl.Output[dsl.Model],
    out_of_fold: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
) -> float:
    """Train the text model; return the weighted F1 of its out-of-fold predictions.

    Args:
        taxonomy: The categories.
        train: Products to train on.
        validation: More products to train on, or those an encoder is calibrated on.
        buckets: Size of the hashed vocabulary, a power of two.
        C: Inverse regularization strength of the linear support vector machines, as in scikit-learn.
        encoder: e5-small, use-multilingual or e5-small+use-multilingual; the name or folder of an encoder to
            fine-tune, such as camembert-base; or empty for the linear model.
        epochs: Passes of the encoder over the texts, if budget_s allows.
        budget_s: Seconds the training of an encoder may take.
        learning_rate: Maximum learning rate of an encoder's pretrained layers.
        head_learning_rate: Maximum learning rate of its new layer.
        batch_size: Products per process and training step; 0 for 16 to 256, depending on their number.
        micro_batch_size: Products that are in memory at once; 0 for 256 on a GPU and 16 on a CPU.
        patience: Epochs without a better F1 on validation after which training ends.
        seed: Seed of everything random.
        store: URL of the object store where a failure is recorded and checkpoints are kept.
    """
    from pathlib import Path
    from typing import Any

    from components.shared import failures
    from components.train_text import step
    from product_classifier.taxonomy.folder import read_taxonomy

    numbers: dict[str, Any] = {
        "buckets": buckets,
        "C": C,
        "encoder": encoder,
        "epochs": epochs,
        "budget_s": budget_s,
        "learning_rate": learning_rate,
        "head_learning_rate": head_learning_rate,
        "batch_size": batch_size,
        "micro_batch_size": micro_batch_size,
        "patience": patience,
        "seed": seed,
    }
    with failures.record_step("train_text", store):
        outputs = Path(model.path), Path(out_of_fold.path)
        score = step.run(
            Path(train.path),
            Path(validation.path),
            *outputs,
            read_taxonomy(Path(taxonomy.path)),
            **numbers,
            checkpoints=store,
        )
    metrics.log_metric("out_of_fold_weighted_f1", score)
    model.metadata.update(numbers)
    return score
