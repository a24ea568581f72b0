"""Kubeflow Pipelines component of the step split_catalogue."""

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def split_catalogue(
    catalogue: dsl.Input[dsl.Dataset],
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
) -> int:
    """Split the catalogue by a stable hash of the content; return the number of products to train on.

    Args:
        catalogue: Products to split.
        share_train: Share to train on.
        share_validation: Share to calibrate on.
        share_test: Share of the frozen hold-out of the gate.
        share_unseen: Share for the simulation.
        store: URL of the object store where a failure is recorded.
    """
    from pathlib import Path

    from components.shared import failures
    from components.split_catalogue import step

    with failures.record_step("split_catalogue", store):
        return step.run(
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
        )
