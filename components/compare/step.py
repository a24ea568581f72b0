"""Judge the new release and the champion on the same frozen products, and let the gate decide."""

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.compare.report import Judged, render
from components.register.step import test_set
from components.shared import serving_check
from components.shared.predictions import ask
from components.shared.published_releases import materialise
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
from product_classifier.evaluation.metrics import per_category, score
from product_classifier.evaluation.resampling import bootstrap_gains
from product_classifier.releases.release import load_fusion
from product_classifier.store import ObjectStore, open_store
from product_classifier.taxonomy import CODES


@dataclass(frozen=True, slots=True)
class Ground:
    """What releases are judged on, and where they are brought to."""

    store: ObjectStore
    folder: Path
    test: Path


def run(
    release: str,
    test: Path,
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
    """Write `decision` (JSON) and `report` (HTML); return whether the release may take the champion's place.

    A new release that cannot be read raises. A champion that cannot be read has no successor until a person puts
    another release into service, for nobody can say what would be better than it.

    Args:
        release: Id of the new release, as published.
        test: The frozen hold-out (parquet).
        decision: What the gate says, and all it was told.
        report: The page for people.
        store: Where releases are published: file:///folder or s3://bucket.
        rollout: Where the champion is in service: file:///folder or kserve://namespace.
        min_gain: How much higher the weighted F1 must be.
        confidence: In which share of the resamples it must be higher at all.
        min_items: Products of a category below which its F1 is chance.
        max_drop: By how much the F1 of a category may fall.
        max_slowdown: How many times as long an answer may take.
        slow_ms: An answer within this time is fast enough.
        resamples: Of the test set, for the paired bootstrap.
        seed: Of the resamples.
    """
    objects = open_store(store)
    champion = open_rollout(rollout, objects).current()
    limits = GateLimits(min_gain, confidence, min_items, max_drop, max_slowdown, slow_ms)
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(objects, Path(folder), test)
        new = _judge(release, ground)
        old, trouble = None, None
        try:
            old = _judge(champion, ground) if champion else None
        except (BundleRefused, ObjectNotFound) as error:
            trouble = UnreadableChampion(str(champion), str(error))
        times = _times(ground, [one for one in (release, champion) if one and not (trouble and one == champion)])
    differences = _differences(old, new, resamples, seed)
    sure = float((differences > 0).mean()) if len(differences) else 0.0
    decided = decide(_candidate(new, times), trouble or (_candidate(old, times) if old else None), sure, limits)
    found = _record(decided, new, old, times) | {
        "champion": champion,
        "confidence": sure,
        "limits": asdict(limits),
        "test_set": test_set(test),
    }
    for path, content in (
        (decision, json.dumps(found, indent=1) + "\n"),
        (report, render(decided, new, old, differences)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return decided.promote


def _judge(release: str, ground: Ground) -> Judged:
    """Let a published release answer the hold-out."""
    folder = materialise(ground.store, release, ground.folder).path
    said = ask(ground.test, folder / "text", folder / "image")
    if not len(said.labels):
        raise CatalogueError(f"{ground.test.name}: has no product to judge by")
    fusion, _ = load_fusion(folder / "fusion")
    answers = fusion.combine(said.text, said.image, said.has_text, said.has_image)
    return Judged(
        release, answers.argmax(axis=1), said.labels, score(answers, said.labels), per_category(answers, said.labels)
    )


def _times(ground: Ground, releases: list[str]) -> dict[str, float]:
    """Return milliseconds per product of each release."""
    models = [serving_check.Models(ground.folder / release) for release in releases]
    return dict(zip(releases, serving_check.ms_per_product(models, models[0].known_products), strict=True))


def _candidate(judged: Judged, times: dict[str, float]) -> ReleaseScores:
    categories = {CODES[one.index]: CategoryF1(one.f1, one.items) for one in judged.categories}
    return ReleaseScores(judged.release, judged.scores.weighted_f1, categories, times[judged.release])


def _differences(old: Judged | None, new: Judged, resamples: int, seed: int) -> NDArray[np.float64]:
    if old is None:
        return np.zeros(0)
    return bootstrap_gains(old.answers, new.answers, new.labels, len(CODES), resamples, seed)


def _record(decided: GateDecision, new: Judged, old: Judged | None, times: dict[str, float]) -> dict[str, object]:
    return {
        "release": new.release,
        "promote": decided.promote,
        "reasons": list(decided.reasons),
        "before": _numbers(old, times) if old else None,
        "after": _numbers(new, times),
    }


def _numbers(judged: Judged, times: dict[str, float]) -> dict[str, object]:
    categories = {
        str(CODES[one.index]): {"f1": one.f1, "precision": one.precision, "recall": one.recall, "items": one.items}
        for one in judged.categories
    }
    return {**asdict(judged.scores), "ms_per_product": times[judged.release], "by_category": categories}
