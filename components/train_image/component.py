"""Kubeflow Pipelines component of the step train_image."""

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def train_image(
    raw: str,
    raw_revision: str,
    taxonomy: dsl.Input[dsl.Artifact],
    train: dsl.Input[dsl.Dataset],
    validation: dsl.Input[dsl.Dataset],
    backbone: str,
    size: int,
    precision: str,
    C: float,  # noqa: N803 - scikit-learn's name
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
    """Train the image model; return the weighted F1 of its out-of-fold predictions.

    Args:
        raw: Folder of the raw files, or s3://bucket/prefix.
        raw_revision: Revision of these files when the run started.
        taxonomy: The categories.
        train: Products to train on.
        validation: More products to train on, or those a network is calibrated on.
        backbone: efficientnet-lite0, frozen; scratch for a small network without pretrained weights; or the name or
            folder of a vision backbone to fine-tune.
        size: Side of the square input of the network, in pixels.
        precision: Numbers in the graph of the frozen backbone, int8 or float32.
        C: Inverse regularization strength of the linear layer, as in scikit-learn.
        epochs: Passes of a trained network over the photos, if budget_s allows.
        budget_s: Seconds its optimization may take.
        learning_rate: Maximum learning rate of its pretrained layers.
        head_learning_rate: Maximum learning rate of its new layers, which are all layers of scratch.
        batch_size: Photos per process and training step; 0 for 16 to 256, depending on their number.
        micro_batch_size: Photos that are in memory at once; 0 for 256 on a GPU and 16 on a CPU.
        patience: Epochs without a better F1 on validation after which training ends.
        seed: Seed of everything random.
        store: URL of the object store where a failure is recorded and checkpoints are kept.
    """
    from pathlib import Path
    from typing import Any

    from components.shared import failures
    from components.shared import raw as raw_files
    from components.train_image import step
    from product_classifier.taxonomy.folder import read_taxonomy

    numbers: dict[str, Any] = {
        "backbone": backbone,
        "size": size,
        "precision": precision,
        "C": C,
        "epochs": epochs,
        "budget_s": budget_s,
        "learning_rate": learning_rate,
        "head_learning_rate": head_learning_rate,
        "batch_size": batch_size,
        "micro_batch_size": micro_batch_size,
        "patience": patience,
        "seed": seed,
    }
    with failures.record_step("train_image", store):
        inputs = Path(train.path), Path(validation.path), raw_files.fetch(raw, raw_revision, store)
        outputs = Path(model.path), Path(out_of_fold.path)
        score = step.run(*inputs, *outputs, read_taxonomy(Path(taxonomy.path)), **numbers, checkpoints=store)
    metrics.log_metric("out_of_fold_weighted_f1", score)
    model.metadata.update(numbers)
    return score
