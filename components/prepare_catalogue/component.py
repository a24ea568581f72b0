from kfp import dsl

from components import image


@dsl.component(base_image=image.TRAINER, install_kfp_package=False)
def prepare_catalogue(
    raw: str,
    max_reject_share: float,
    run_id: str,
    store: str,
    catalogue: dsl.Output[dsl.Dataset],
    rejects: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Read the raw files into one table of products; return the data revision.

    Args:
        raw: Folder with the raw files, or s3://bucket/prefix.
        max_reject_share: Share of rows that may be unusable.
        run_id: The run whose failure is recorded; empty for a training by hand.
        store: Where it is recorded.
    """
    import json
    from pathlib import Path

    from components import failures
    from components import raw as source
    from components.prepare_catalogue import step

    report = Path(f"{catalogue.path}.json")
    with failures.recorded("prepare_catalogue", run_id, store):
        revision = step.run(source.bring(raw), Path(catalogue.path), Path(rejects.path), report, max_reject_share)
    for name, value in json.loads(report.read_text()).items():
        if isinstance(value, int):
            metrics.log_metric(name, value)
    return revision
