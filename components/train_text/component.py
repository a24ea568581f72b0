from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def train_text(
    train: dsl.Input[dsl.Dataset],
    validation: dsl.Input[dsl.Dataset],
    buckets: int,
    penalty: float,
    encoder: str,
    epochs: int,
    budget_s: float,
    learning_rate: float,
    seed: int,
    store: str,
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> float:
    """Learn to tell a product's category from its words; return the weighted F1 on validation.

    Args:
        train: What to learn from.
        validation: What to calibrate on.
        buckets: Size of the hashed vocabulary, a power of two.
        penalty: How hard a wrong training text is punished.
        encoder: Name or folder of a pretrained encoder such as camembert-base; empty for the linear model.
        epochs: How often an encoder sees each text, if the budget allows.
        budget_s: Seconds an encoder may be trained for.
        learning_rate: Of an encoder, at its highest.
        seed: Of everything random.
        store: Where a failure is recorded.
    """
    from pathlib import Path
    from typing import Any

    from components.shared import failures
    from components.train_text import step

    numbers: dict[str, Any] = {
        "buckets": buckets,
        "penalty": penalty,
        "encoder": encoder,
        "epochs": epochs,
        "budget_s": budget_s,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    with failures.recorded("train_text", store):
        score = step.run(Path(train.path), Path(validation.path), Path(model.path), **numbers)
    metrics.log_metric("validation_weighted_f1", score)
    model.metadata.update(numbers)
    return score
