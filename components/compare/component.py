"""Kubeflow Pipelines component of the step compare."""

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def compare(
    release: str,
    raw: str,
    raw_revision: str,
    test: dsl.Input[dsl.Dataset],
    store: str,
    rollout: str,
    min_gain: float,
    confidence: float,
    min_items: int,
    max_drop: float,
    max_slowdown: float,
    slow_ms: float,
    resamples: int,
    seed: int,
    decision: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
) -> bool:
    """Compare the release with the champion on the hold-out; return whether it may replace it.

    Args:
        release: Id of the new release, as published.
        raw: Folder of the raw files, or s3://bucket/prefix.
        raw_revision: Revision of these files when the run started.
        test: The frozen hold-out.
        store: URL of the object store with the releases: file:///folder or s3://bucket.
        rollout: URL of the deployment that serves the champion: file:///folder or kserve://namespace.
        min_gain: Smallest gain in weighted F1.
        confidence: Smallest share of resamples with a gain.
        min_items: Products below which a category's F1 is not compared.
        max_drop: Largest drop of a category's F1.
        max_slowdown: Largest ratio of the latencies.
        slow_ms: Latency in milliseconds that is accepted whatever the champion's is.
        resamples: Number of paired bootstrap resamples of the hold-out.
        seed: Seed of the resamples.
    """
    import json
    from pathlib import Path

    from components.compare import step
    from components.shared import failures
    from components.shared import raw as raw_files

    with failures.record_step("compare", store):
        promote = step.run(
            release=release,
            test=Path(test.path),
            raw=raw_files.fetch(raw, raw_revision, store),
            decision=Path(decision.path),
            report=Path(report.path),
            store=store,
            rollout=rollout,
            min_gain=min_gain,
            confidence=confidence,
            min_items=int(min_items),
            max_drop=max_drop,
            max_slowdown=max_slowdown,
            slow_ms=slow_ms,
            resamples=int(resamples),
            seed=int(seed),
        )
    found = json.loads(Path(decision.path).read_text(encoding="utf-8"))
    metrics.log_metric("confidence", found["confidence"])
    for when in ("before", "after"):
        for name, value in (found[when] or {}).items():
            if name != "by_category":
                metrics.log_metric(f"{name}_{when}", value)
    return promote
