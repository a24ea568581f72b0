from kfp import dsl

from components import image


@dsl.component(base_image=image.TRAINER, install_kfp_package=False)
def merge_corrections(
    store: str,
    run_id: str,
    snapshot: str,
    execution: str,
    corrections: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.Artifact],
) -> int:
    """Be the run, and bring its corrections; return how many can be used.

    Args:
        store: Where snapshot and photos are: file:///folder or s3://bucket.
        run_id: The run this execution wants to be; empty for a training by hand.
        snapshot: Hash of the frozen snapshot of corrections; empty for none.
        execution: Id of this execution.
    """
    from pathlib import Path

    from components import failures
    from components.merge_corrections import step

    with failures.recorded("merge_corrections", run_id, store):
        return step.run(
            Path(corrections.path),
            Path(report.path),
            store=store,
            run_id=run_id,
            snapshot=snapshot,
            execution=execution,
        )
