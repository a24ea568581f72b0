from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def split_catalogue(
    catalogue: dsl.Input[dsl.Dataset],
    corrections: str,
    share_train: float,
    share_validation: float,
    share_test: float,
    share_unseen: float,
    store: str,
    train: dsl.Output[dsl.Dataset],
    validation: dsl.Output[dsl.Dataset],
    test: dsl.Output[dsl.Dataset],
    unseen: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
) -> int:
    """Divide the catalogue by a stable hash; return how many products are left to learn from.

    Args:
        catalogue: Products to divide.
        corrections: Hash of the products with the category people say they have; learned from, never judged on.
        share_train: Share to learn from.
        share_validation: Share to tune and calibrate on.
        share_test: Share of the frozen hold-out the gate judges on.
        share_unseen: Share kept for the simulation.
        store: Where the corrections are, and where a failure is recorded.
    """
    import json
    import tempfile
    from pathlib import Path

    from components.shared import corrections as kept
    from components.shared import failures
    from components.split_catalogue import step

    with failures.recorded("split_catalogue", store), tempfile.TemporaryDirectory() as folder:
        learnt_from = step.run(
            Path(catalogue.path),
            train=Path(train.path),
            validation=Path(validation.path),
            test=Path(test.path),
            unseen=Path(unseen.path),
            report=Path(report.path),
            share_train=share_train,
            share_validation=share_validation,
            share_test=share_test,
            share_unseen=share_unseen,
            corrections=kept.bring(store, corrections, Path(folder) / "corrections.parquet"),
        )
    for fate, count in json.loads(Path(report.path).read_text(encoding="utf-8"))["corrections"].items():
        metrics.log_metric(f"corrections_{fate}", count)
    return learnt_from
