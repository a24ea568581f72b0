"""Compare the predictions of two releases for the hold-out, also where their taxonomies differ."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.compare.report import HoldOutScores
from product_classifier.evaluation.common_categories import Answers, CommonCategories, common_categories
from product_classifier.evaluation.gate import CategoryF1, ReleaseScores, TaxonomyDifference
from product_classifier.evaluation.resampling import bootstrap_gains
from product_classifier.evaluation.scores import f1_by_position
from product_classifier.stored_taxonomy.change_store import TaxonomyState
from product_classifier.taxonomy import Taxonomy


@dataclass(frozen=True)
class Comparison:
    """The scores of both releases on the categories that both answer."""

    champion: ReleaseScores
    challenger: ReleaseScores
    gains: NDArray[np.float64]
    """Gain in weighted F1 of each resample of the hold-out."""
    difference: TaxonomyDifference | None
    """What was not compared; None for two releases with one taxonomy."""


def compare_releases(
    old: HoldOutScores,
    new: HoldOutScores,
    state: TaxonomyState,
    latencies: dict[str, float],
    resamples: int,
    seed: int,
) -> Comparison:
    """Score both releases, read in the newest taxonomy, on the categories that both answer.

    Args:
        old: Predictions of the champion.
        new: Predictions of the challenger for the same products; their true codes are of its taxonomy.
        state: The changes of the taxonomy.
        latencies: Milliseconds per product by release.
        resamples: Number of paired bootstrap resamples.
        seed: Seed of the resamples.
    """
    newest = state.newest if state.newest.version > new.taxonomy.version else new.taxonomy
    labels = [read(state, new.taxonomy)(code) or "" for code in new.true_codes]
    sides = [Answers(one.codes, one.predicted_codes, read(state, one.taxonomy)) for one in (old, new)]
    found = common_categories(newest, labels, *sides)
    champion, challenger = (
        _scores(one.release, predicted, found, latencies[one.release])
        for one, predicted in ((old, found.champion), (new, found.challenger))
    )
    gains = (
        bootstrap_gains(found.champion, found.challenger, found.labels, found.classes, resamples, seed)
        if len(found.rows)
        else np.zeros(0)
    )
    difference = None
    if old.taxonomy.digest != new.taxonomy.digest:
        recalls = {code: (recall, found.new_items[code]) for code, recall in found.new.items()}
        versions = (old.taxonomy.version, new.taxonomy.version)
        answered = [{side.read(code) for code in side.codes} for side in sides]
        added = len(answered[1] - answered[0] - {None})
        difference = TaxonomyDifference(versions, len(found.rows), found.left_out, recalls, added)
    return Comparison(champion, challenger, gains, difference)


def read(state: TaxonomyState, taxonomy: Taxonomy) -> Callable[[str], str | None]:
    """Return the function that reads a code of a release's taxonomy in the newest version."""
    return lambda code: state.read(code, taxonomy.version).code


def _scores(
    release: str, predicted: NDArray[np.int64], found: CommonCategories, ms_per_product: float
) -> ReleaseScores:
    f1, items = f1_by_position(predicted, found.labels, found.classes)
    categories = {code: CategoryF1(float(f1[at]), int(items[at])) for at, code in enumerate(found.codes)}
    return ReleaseScores(release, float((f1 * items).sum() / max(items.sum(), 1)), categories, ms_per_product)
