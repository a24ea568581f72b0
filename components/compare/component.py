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
    """Judge the new release and the champion on the same products; return whether the new one may take over.

    Args:
        release: Id of the new release, as published.
        raw: Where the photos are.
        raw_revision: What was there when the run began.
        test: The frozen hold-out.
        store: Where releases are published.
        rollout: Where the champion is in service.
        min_gain: How much higher the weighted F1 must be.
        confidence: In which share of the resamples it must be higher at all.
        min_items: Products of a category below which its F1 is chance.
        max_drop: By how much the F1 of a category may fall.
        max_slowdown: How many times as long an answer may take.
        slow_ms: An answer within this time is fast enough.
        resamples: Of the test set, for the paired bootstrap.
        seed: Of the resamples.
    """
    import json
    from pathlib import Path

    from components.compare import step
    from components.shared import failures
    from components.shared import raw as source

    with failures.recorded("compare", store):
        source.bring(raw, raw_revision)
        promote = step.run(
            release=release,
            test=Path(test.path),
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
