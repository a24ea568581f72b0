"""Kubeflow Pipelines component of the step prepare_catalogue."""

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def prepare_catalogue(
    raw: str,
    raw_revision: str,
    cache_key: str,
    layout: str,
    max_reject_share: float,
    store: str,
    catalogue: dsl.Output[dsl.Dataset],
    unlabelled: dsl.Output[dsl.Dataset],
    rejects: dsl.Output[dsl.Artifact],
    taxonomy: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Read the raw files into one table of products; return the data revision.

    Args:
        raw: Folder of the raw files, or s3://bucket/prefix.
        raw_revision: Revision of these files when the run started.
        cache_key: Digest of the code; results of another key are not reused.
        layout: Text of the layout file; empty for `catalogue.yaml` beside the files or the challenge's files.
        max_reject_share: Largest share of rows that may be unusable.
        store: URL of the object store where a failure is recorded.
    """
    import json
    from pathlib import Path

    from components.prepare_catalogue import step
    from components.shared import failures
    from components.shared import raw as raw_files

    report = Path(f"{catalogue.path}.json")
    with failures.record_step("prepare_catalogue", store):
        folder = raw_files.fetch(raw, raw_revision)
        revision = step.run(
            folder,
            Path(catalogue.path),
            Path(rejects.path),
            report,
            max_reject_share,
            unlabelled=Path(unlabelled.path),
            taxonomy=Path(taxonomy.path),
            layout=step.write_layout(layout, Path(f"{catalogue.path}.yaml")),
            store=store,
        )
    catalogue.metadata.update({"raw_revision": raw_revision, "cache_key": cache_key})
    for name, value in json.loads(report.read_text(encoding="utf-8")).items():
        if isinstance(value, int):
            metrics.log_metric(name, value)
    return revision
