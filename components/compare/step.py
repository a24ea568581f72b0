"""Compare the new release with the champion on the frozen hold-out, and apply the gate."""

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from components.compare.comparison import compare_releases
from components.compare.report import HoldOutScores, render
from components.shared import serving_check
from components.shared.hold_out import hold_out_digest
from components.shared.predictions import predict
from components.shared.published_releases import fetch_release
from components.shared.rollout.rollout import open_rollout
from product_classifier.errors import BundleRefused, CatalogueError, ObjectNotFound
from product_classifier.evaluation.gate import (
    CategoryF1,
    GateDecision,
    GateLimits,
    ReleaseScores,
    UnreadableChampion,
    decide,
)
from product_classifier.evaluation.scores import per_category, score, select
from product_classifier.releases.release import load_fusion
from product_classifier.store import ObjectStore, open_store
from product_classifier.stored_taxonomy.change_store import read_state


@dataclass(frozen=True, slots=True)
class Inputs:
    """What releases are compared on, and the folder they are downloaded to."""

    store: ObjectStore
    folder: Path
    test: Path
    raw: Path


def run(
    release: str,
    test: Path,
    raw: Path,
    decision: Path,
    report: Path,
    store: str,
    rollout: str,
    min_gain: float = 0.002,
    confidence: float = 0.9,
    min_items: int = 10,
    max_drop: float = 0.25,
    max_slowdown: float = 3.0,
    slow_ms: float = 50.0,
    resamples: int = 2000,
    seed: int = 27,
) -> bool:
    """Write `decision` (JSON) and `report` (HTML); return whether the release may replace the champion.

    If the champion cannot be read, the release is rejected: nothing shows that it is better. An administrator then
    deploys a release with `python -m pipelines rollback`.

    Args:
        release: Id of the new release, as published.
        test: The frozen hold-out (parquet).
        raw: Folder of the raw files, which `image_path` is relative to.
        decision: Decision of the gate with the scores and limits it is based on (JSON).
        report: The comparison as a page.
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

    Raises:
        BundleRefused: If the new release cannot be read.
        CatalogueError: If the hold-out has no product to compare on.
    """
    objects = open_store(store)
    champion = open_rollout(rollout, objects).current()
    limits = GateLimits(min_gain, confidence, min_items, max_drop, max_slowdown, slow_ms)
    with tempfile.TemporaryDirectory() as folder:
        inputs = Inputs(objects, Path(folder), test, raw)
        new = _evaluate(release, inputs)
        old, unreadable = None, None
        try:
            old = _evaluate(champion, inputs) if champion else None
        except (BundleRefused, ObjectNotFound) as error:
            unreadable = UnreadableChampion(str(champion), str(error))
        latencies = _latencies_ms(inputs, [one for one in (release, champion) if one and (one == release or old)])
    compared = compare_releases(old, new, read_state(objects), latencies, resamples, seed) if old else None
    gains = compared.gains if compared else np.zeros(0)
    share = float((gains > 0).mean()) if len(gains) else 0.0
    if compared:
        decided = decide(compared.challenger, compared.champion, share, limits, compared.difference)
    else:
        decided = decide(_release_scores(new, latencies), unreadable, share, limits)
    found = _record(decided, new, old, latencies) | {
        "champion": champion,
        "confidence": share,
        "limits": asdict(limits),
        "test_set": hold_out_digest(test),
    }
    for path, content in (
        (decision, json.dumps(found, indent=1) + "\n"),
        (report, render(decided, new, old, gains)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return decided.promote


def _evaluate(release: str, inputs: Inputs) -> HoldOutScores:
    """Evaluate a published release on the hold-out."""
    fetched = fetch_release(inputs.store, release, inputs.folder)
    folder = fetched.path
    found = predict(inputs.test, inputs.raw, folder / "text", folder / "image", unanswered=True)
    if not (found.labels >= 0).any():
        raise CatalogueError(f"{inputs.test.name}: has no product to compare on; check its categories")
    fusion, _ = load_fusion(folder / "fusion", found.codes)
    fused = found.combine(fusion)
    answered = found.labels >= 0
    known, labels = fused[answered], found.labels[answered]
    return HoldOutScores(
        release,
        fetched.taxonomy,
        fused.predicted,
        found.products["code"].to_list(),
        score(known, labels),
        per_category(known, labels),
        select(fusion.accepts_predicted(known.predicted, known.confidence), known.predicted == labels),
    )


def _latencies_ms(inputs: Inputs, releases: list[str]) -> dict[str, float]:
    """Return milliseconds per product of each release."""
    models = [serving_check.ReleaseModels(inputs.folder / release) for release in releases]
    return dict(zip(releases, serving_check.ms_per_product(models, models[0].known_products), strict=True))


def _release_scores(scored: HoldOutScores, latencies: dict[str, float]) -> ReleaseScores:
    categories = {scored.codes[one.index]: CategoryF1(one.f1, one.items) for one in scored.categories}
    return ReleaseScores(scored.release, scored.scores.weighted_f1, categories, latencies[scored.release])


def _record(
    decided: GateDecision, new: HoldOutScores, old: HoldOutScores | None, latencies: dict[str, float]
) -> dict[str, object]:
    return {
        "release": new.release,
        "promote": decided.promote,
        "reasons": list(decided.reasons),
        "before": _numbers(old, latencies) if old else None,
        "after": _numbers(new, latencies),
    }


def _numbers(scored: HoldOutScores, latencies: dict[str, float]) -> dict[str, object]:
    categories = {
        str(scored.codes[one.index]): {
            "f1": one.f1,
            "precision": one.precision,
            "recall": one.recall,
            "items": one.items,
        }
        for one in scored.categories
    }
    accepted = {"accepted_coverage": scored.selection.coverage, "accepted_precision": scored.selection.precision}
    return {**asdict(scored.scores), **accepted, "ms_per_product": latencies[scored.release], "by_category": categories}
