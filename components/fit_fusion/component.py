from kfp import dsl

from components.shared import step_image as images


@dsl.component(base_image=images.TRAINER, install_kfp_package=False)
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
    """Learn how far to trust words and photo, category by category; return the weighted F1 on validation.

    Args:
        raw: Where the photos are.
        raw_revision: What was there when the run began.
        validation: Products neither model learnt from.
        text: Bundle of the text model.
        image: Bundle of the image model.
        store: Where a failure is recorded.
    """
    from pathlib import Path

    from components.fit_fusion import step
    from components.shared import failures
    from components.shared import raw as source

    with failures.recorded("fit_fusion", store):
        source.bring(raw, raw_revision)
        score = step.run(Path(validation.path), Path(text.path), Path(image.path), Path(model.path))
    metrics.log_metric("validation_weighted_f1", score)
    return score
