from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def prepare_catalogue(
    raw: str,
    raw_revision: str,
    recipe: str,
    max_reject_share: float,
    store: str,
    catalogue: dsl.Output[dsl.Dataset],
    rejects: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Read the raw files into one table of products; return the data revision.

    Args:
        raw: Folder with the raw files, or s3://bucket/prefix.
        raw_revision: What these files were when the run began.
        recipe: Word that stands for the code; the result of another one is not this one.
        max_reject_share: Share of rows that may be unusable.
        store: Where a failure is recorded.
    """
    import json
    from pathlib import Path

    from components.prepare_catalogue import step
    from components.shared import failures
    from components.shared import raw as source

    report = Path(f"{catalogue.path}.json")
    with failures.recorded("prepare_catalogue", store):
        files = source.bring(raw, raw_revision)
        revision = step.run(files, Path(catalogue.path), Path(rejects.path), report, max_reject_share)
    catalogue.metadata.update({"raw_revision": raw_revision, "recipe": recipe})
    for name, value in json.loads(report.read_text()).items():
        if isinstance(value, int):
            metrics.log_metric(name, value)
    return revision
