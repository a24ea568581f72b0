from kfp import dsl

from components.shared import step_image as images


@dsl.component(base_image=images.TRAINER, install_kfp_package=False)
def evaluate(
    raw: str,
    raw_revision: str,
    test: dsl.Input[dsl.Dataset],
    text: dsl.Input[dsl.Model],
    image: dsl.Input[dsl.Model],
    fusion: dsl.Input[dsl.Model],
    store: str,
    scores: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    confusion: dsl.Output[dsl.ClassificationMetrics],
    report: dsl.Output[dsl.HTML],
) -> float:
    """Judge the three models on products none of them has seen; return the weighted F1 of the fusion.

    Args:
        raw: Where the photos are.
        raw_revision: What was there when the run began.
        test: The frozen hold-out.
        text: Bundle of the text model.
        image: Bundle of the image model.
        fusion: Bundle of the fusion model.
        store: Where a failure is recorded.
    """
    import json
    from pathlib import Path

    from components.evaluate import step
    from components.shared import failures
    from components.shared import raw as source

    with failures.recorded("evaluate", store):
        source.bring(raw, raw_revision)
        weighted_f1 = step.run(
            test=Path(test.path),
            text=Path(text.path),
            image=Path(image.path),
            fusion=Path(fusion.path),
            metrics=Path(scores.path),
            report=Path(report.path),
        )
    found = json.loads(Path(scores.path).read_text(encoding="utf-8"))
    for kind in ("text", "image", "fusion"):
        for name, value in found[kind].items():
            metrics.log_metric(f"{kind}_{name}", value)
    confusion.log_confusion_matrix([str(code) for code in found["codes"]], found["confusion"])
    return weighted_f1
