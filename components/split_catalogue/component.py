from kfp import dsl

from components import image


@dsl.component(base_image=image.TRAINER, install_kfp_package=False)
def split_catalogue(
    catalogue: dsl.Input[dsl.Dataset],
    corrections: dsl.Input[dsl.Dataset],
    share_train: float,
    share_validation: float,
    share_test: float,
    share_unseen: float,
    run_id: str,
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
        corrections: Products with the category people say they have; learned from, never judged on.
        share_train: Share to learn from.
        share_validation: Share to tune and calibrate on.
        share_test: Share of the frozen hold-out the gate judges on.
        share_unseen: Share kept for the simulation.
        run_id: The run whose failure is recorded; empty for a training by hand.
        store: Where it is recorded, and where a simulation finds the unseen side.
    """
    import json
    from pathlib import Path

    from components import failures
    from components.split_catalogue import step

    with failures.recorded("split_catalogue", run_id, store):
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
            corrections=Path(corrections.path),
        )
        step.publish_unseen(Path(unseen.path), store)
    for fate, count in json.loads(Path(report.path).read_text(encoding="utf-8"))["corrections"].items():
        metrics.log_metric(f"corrections_{fate}", count)
    return learnt_from
