"""Compares the products of a window with the reference: one measure each, one threshold each.

A threshold holds for all measures together: the reference is cut at random into a pretended window, of the window's
size, and a rest, `RESAMPLES` times, and no cut may exceed the thresholds (the maximum of the standardized statistics,
Westfall and Young 1993). It is at least the smallest effect that matters, so that in a large window a harmless shift is
no drift, however certain it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from product_classifier.monitoring.drift_windows import DriftMeasure
from product_classifier.monitoring.measured_products import MISSING, MeasuredProducts
from product_classifier.monitoring.text_measures import WORD_BUCKETS
from product_classifier.monitoring.two_samples import (
    domain_auc,
    ks_distance,
    largest_scaled_difference,
    shares,
)

Kind = Literal["number", "category", "share", "words", "features"]
RESAMPLES: Final = 300
MARGIN: Final = 1.15
"""Factor of the largest standardized statistic of all resamples: their maximum is a quantile of about 0.997."""
MIN_PRODUCTS: Final = 30
"""Products that have what is measured, below which nothing is compared."""
DOMAIN_PRODUCTS: Final = 1000
"""Most products of each side that tell the domains apart; more cost time and change little."""


@dataclass(frozen=True, slots=True)
class MeasureSpec:
    """What is compared, and the smallest effect that matters."""

    name: str
    kind: Kind
    least: float
    column: str = ""
    """Column of `MeasuredProducts`; empty for that of the same name."""


NUMBER, SHARE, CATEGORY, DOMAIN = 0.12, 0.05, 0.18, 0.6
INPUTS: Final = (
    MeasureSpec("text_length", "number", NUMBER),
    MeasureSpec("language", "category", CATEGORY),
    MeasureSpec("unknown_words", "number", NUMBER),
    MeasureSpec("markup", "share", SHARE),
    MeasureSpec("designation_missing", "share", SHARE),
    MeasureSpec("description_missing", "share", SHARE),
    MeasureSpec("photo_missing", "share", SHARE),
    MeasureSpec("photo_format", "category", CATEGORY),
    MeasureSpec("photo_size", "number", NUMBER),
    MeasureSpec("brightness", "number", NUMBER),
    MeasureSpec("saturation", "number", NUMBER),
    MeasureSpec("vocabulary", "words", DOMAIN, "words"),
    MeasureSpec("photo_content", "features", DOMAIN, "photo_features"),
)
OUTPUTS: Final = (
    MeasureSpec("predicted_category", "category", CATEGORY, "predicted"),
    MeasureSpec("confidence", "number", NUMBER),
    MeasureSpec("accepted", "share", SHARE),
    MeasureSpec("disagreement", "share", SHARE),
)
STATISTICS: Final[Mapping[Kind, str]] = {
    "number": "ks",
    "category": "scaled_difference",
    "share": "difference",
    "words": "auc",
    "features": "auc",
}


def largest_window(reference: MeasuredProducts) -> int:
    """Return the most products of a window that are compared: the rest of the reference is as large."""
    return len(reference) // 2


def compare_window(
    reference: MeasuredProducts,
    window: MeasuredProducts,
    specs: Sequence[MeasureSpec] = INPUTS + OUTPUTS,
    seed: int = 0,
) -> list[DriftMeasure]:
    """Return one measure per spec; `window` has at most `largest_window` products.

    Args:
        reference: Products that the release was trained on.
        window: Products of the window.
        specs: What is compared.
        seed: Of the resamples; equal seeds give equal results.
    """
    columns = _columns(reference, window, specs)
    values = window_statistics(reference, window, specs, seed)
    thresholds = window_thresholds(reference, window, specs, seed)
    return [
        DriftMeasure(
            name=spec.name,
            statistic=STATISTICS[spec.kind],
            value=value,
            threshold=threshold,
            drifted=value is not None and threshold is not None and value > threshold,
            products=column.window.shape[0],
            reference=column.mean(column.reference),
            window=column.mean(column.window),
        )
        for spec, column, value, threshold in zip(specs, columns, values, thresholds, strict=True)
    ]


def window_statistics(
    reference: MeasuredProducts,
    window: MeasuredProducts,
    specs: Sequence[MeasureSpec] = INPUTS + OUTPUTS,
    seed: int = 0,
) -> list[float | None]:
    """Return the statistic of each spec; None where too few products have what is measured."""
    rng = np.random.default_rng(seed)
    return [
        column.statistic(column.window, column.reference, rng) if column.is_usable else None
        for column in _columns(reference, window, specs)
    ]


def window_thresholds(
    reference: MeasuredProducts,
    window: MeasuredProducts,
    specs: Sequence[MeasureSpec] = INPUTS + OUTPUTS,
    seed: int = 0,
) -> list[float | None]:
    """Return the threshold of each spec, for windows with as many products as this one."""
    columns = _columns(reference, window, specs)
    return _thresholds(columns, len(reference), np.random.default_rng(seed))


def _columns(reference: MeasuredProducts, window: MeasuredProducts, specs: Sequence[MeasureSpec]) -> "list[_Column]":
    return [_Column.of(spec, reference, window) for spec in specs]


@dataclass(frozen=True, slots=True)
class _Column:
    """One measure of both samples: the rows that have it, and the statistic."""

    spec: MeasureSpec
    reference: Any
    window: Any
    present: NDArray[np.bool_]
    """Which products of the reference have it."""
    statistic: Callable[[Any, Any, np.random.Generator], float]

    @classmethod
    def of(cls, spec: MeasureSpec, reference: MeasuredProducts, window: MeasuredProducts) -> "_Column":
        name = spec.column or spec.name
        if spec.kind == "words":
            rows = [word_matrix(one) for one in (reference, window)]
            present = [one.getnnz(axis=1) > 0 for one in rows]
        else:
            rows = [getattr(one, name) for one in (reference, window)]
            present = [one.min(axis=1, initial=0) >= 0 if one.ndim > 1 else one != MISSING for one in rows]
        kept = [one[has] for one, has in zip(rows, present, strict=True)]
        statistic: Callable[[Any, Any, np.random.Generator], float]
        if spec.kind == "number":
            statistic = _ks
        elif spec.kind in {"category", "share"}:
            size = int(max((int(one.max()) for one in kept if len(one)), default=0)) + 1
            statistic = _category(size) if spec.kind == "category" else _difference
        else:
            statistic = _domain
        return cls(spec, kept[0], kept[1], present[0], statistic)

    @property
    def is_usable(self) -> bool:
        """Whether both samples have enough products."""
        return bool(min(self.window.shape[0], self.reference.shape[0]) >= MIN_PRODUCTS)

    def mean(self, rows: Any) -> float | None:
        """Return the mean of a number or a share; None of other kinds."""
        if self.spec.kind not in {"number", "share"} or not len(rows):
            return None
        return float(np.mean(rows))


def _thresholds(columns: Sequence[_Column], count: int, rng: np.random.Generator) -> list[float | None]:
    """Return the threshold of each column that is usable; `count` is the number of products of the reference."""
    used = [column for column in columns if column.is_usable]
    if not used:
        return [None] * len(columns)
    drawn = np.array([_resample(used, rng.permutation(count), rng) for _ in range(RESAMPLES)])
    center, spread = drawn.mean(axis=0), drawn.std(axis=0) + 1e-9
    largest = float(((drawn - center) / spread).max())
    levels = iter(center + MARGIN * largest * spread)
    return [max(column.spec.least, float(next(levels))) if column.is_usable else None for column in columns]


def _resample(columns: Sequence[_Column], ranks: NDArray[np.integer], rng: np.random.Generator) -> list[float]:
    """Return the statistics of the products of the lowest ranks, as many as the window has, against the others."""
    found = []
    for column in columns:
        order = np.argsort(ranks[column.present])
        size = min(column.window.shape[0], len(order) // 2)
        found.append(column.statistic(column.reference[order[:size]], column.reference[order[size:]], rng))
    return found


def _ks(window: Any, reference: Any, _: np.random.Generator) -> float:
    return ks_distance(window, reference)


def _difference(window: Any, reference: Any, _: np.random.Generator) -> float:
    return abs(float(np.mean(window)) - float(np.mean(reference)))


def _category(size: int) -> Callable[[Any, Any, np.random.Generator], float]:
    return lambda window, reference, _: largest_scaled_difference(shares(window, size), shares(reference, size))


def _domain(window: Any, reference: Any, rng: np.random.Generator) -> float:
    return domain_auc(_some(window, rng), _some(reference, rng), rng)


def _some(rows: Any, rng: np.random.Generator) -> Any:
    count = rows.shape[0]
    return rows if count <= DOMAIN_PRODUCTS else rows[rng.permutation(count)[:DOMAIN_PRODUCTS]]


def word_matrix(products: MeasuredProducts) -> Any:
    """Return which product has which word as a scipy CSR matrix `[n, WORD_BUCKETS]`."""
    from scipy.sparse import csr_matrix  # noqa: PLC0415 - serving images have no scipy

    starts, buckets = products.words
    values = np.ones(len(buckets), np.float32)
    return csr_matrix((values, buckets, starts), shape=(len(products), WORD_BUCKETS))
