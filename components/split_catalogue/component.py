from kfp import dsl

from components import image


@dsl.component(base_image=image.TRAINER, install_kfp_package=False)
def split_catalogue(
    catalogue: dsl.Input[dsl.Dataset],
    share_train: float,
    share_validation: float,
    share_test: float,
    share_unseen: float,
    train: dsl.Output[dsl.Dataset],
    validation: dsl.Output[dsl.Dataset],
    test: dsl.Output[dsl.Dataset],
    unseen: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.Artifact],
) -> int:
    """Divide the catalogue by a stable hash; return how many products are left to learn from.

    Args:
        catalogue: Products to divide.
        share_train: Share to learn from.
        share_validation: Share to tune and calibrate on.
        share_test: Share of the frozen hold-out the gate judges on.
        share_unseen: Share kept for the simulation.
    """
    from pathlib import Path

    from components.split_catalogue import step

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
