from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def train_image(
    raw: str,
    raw_revision: str,
    train: dsl.Input[dsl.Dataset],
    validation: dsl.Input[dsl.Dataset],
    size: int,
    epochs: int,
    budget_s: float,
    learning_rate: float,
    encoder: str,
    seed: int,
    store: str,
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> float:
    """Learn to tell a product's category from its photo; return the weighted F1 on validation.

    Args:
        raw: Where the photos are.
        raw_revision: What was there when the run began.
        train: What to learn from.
        validation: What to calibrate on.
        size: Side of the square the network sees, in pixels.
        epochs: How often each photo is seen, if the budget allows.
        budget_s: Seconds training may take.
        learning_rate: At its highest.
        encoder: Name or folder of a pretrained backbone; empty for a small network from scratch.
        seed: Of everything random.
        store: Where a failure is recorded.
    """
    from pathlib import Path
    from typing import Any

    from components.shared import failures
    from components.shared import raw as source
    from components.train_image import step

    numbers: dict[str, Any] = {
        "size": size,
        "epochs": epochs,
        "budget_s": budget_s,
        "learning_rate": learning_rate,
        "encoder": encoder,
        "seed": seed,
    }
    with failures.recorded("train_image", store):
        source.bring(raw, raw_revision)
        score = step.run(Path(train.path), Path(validation.path), Path(model.path), **numbers)
    metrics.log_metric("validation_weighted_f1", score)
    model.metadata.update(numbers)
    return score
