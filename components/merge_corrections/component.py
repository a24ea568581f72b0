from typing import NamedTuple

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def merge_corrections(
    store: str,
    raw: str,
    run_id: str,
    snapshot: str,
    fresh: str,
    corrections: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.Artifact],
) -> NamedTuple("Basis", [("usable", str), ("raw_revision", str), ("recipe", str)]):  # type: ignore[valid-type]
    """Be the run, bring its corrections, and name by content what the other steps learn from.

    Returns the hash of the corrections that can be used (empty: none), the revision of the raw files, and the word
    that stands for the code.

    Args:
        store: Where snapshot and photos are: file:///folder or s3://bucket.
        raw: Folder with the raw files, or s3://bucket/prefix.
        run_id: The run this execution wants to be; empty for a training by hand.
        snapshot: Hash of the frozen snapshot of corrections; empty for none.
        fresh: Anything; with another word than before nothing is taken from a cache.
    """
    from pathlib import Path

    from components.merge_corrections import step
    from components.shared import corrections as kept
    from components.shared import failures
    from components.shared import raw as source
    from components.shared.cache_key import recipe
    from product_classifier.store import open_store

    table = Path(corrections.path)
    with failures.recorded("merge_corrections", store, run_id):
        count = step.run(
            table,
            Path(report.path),
            store=store,
            run_id=run_id,
            snapshot=snapshot,
            execution=failures.execution(),
        )
        usable = kept.keep(open_store(store), table) if count else ""
        return usable, source.revision(raw), recipe(store, fresh)
