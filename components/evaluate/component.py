"""Kubeflow Pipelines component of the step evaluate."""

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def evaluate(
    raw: str,
    raw_revision: str,
    taxonomy: dsl.Input[dsl.Artifact],
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
    """Evaluate the three models on the frozen hold-out; return the weighted F1 of the fusion.

    Args:
        raw: Folder of the raw files, or s3://bucket/prefix.
        raw_revision: Revision of these files when the run started.
        taxonomy: The categories.
        test: The frozen hold-out.
        text: Bundle of the text model.
        image: Bundle of the image model.
        fusion: Bundle of the fusion model.
        store: URL of the object store where a failure is recorded.
    """
    import json
    from pathlib import Path

    from components.evaluate import step
    from components.shared import failures
    from components.shared import raw as raw_files
    from product_classifier.taxonomy.folder import read_taxonomy

    with failures.record_step("evaluate", store):
        weighted_f1 = step.run(
            test=Path(test.path),
            raw=raw_files.fetch(raw, raw_revision, store),
            text=Path(text.path),
            image=Path(image.path),
            fusion=Path(fusion.path),
            metrics=Path(scores.path),
            report=Path(report.path),
            taxonomy=read_taxonomy(Path(taxonomy.path)),
        )
    found = json.loads(Path(scores.path).read_text(encoding="utf-8"))
    for kind in ("text", "image", "fusion"):
        for name, value in found[kind].items():
            metrics.log_metric(f"{kind}_{name}", value)
    if "confusion" in found:
        confusion.log_confusion_matrix([str(code) for code in found["codes"]], found["confusion"])
    return weighted_f1
