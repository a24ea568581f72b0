"""A linear text model for many categories: hashed n-grams with few weights per category.

A dense table of buckets x categories takes 10 GB for 10,000 categories. Of its weights most are nearly 0: this model
keeps the large ones, as lists of (category, weight) per bucket.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from product_classifier.bundles.arrays import check_shapes, read_arrays, write_arrays, write_json
from product_classifier.bundles.bundle import read_codes
from product_classifier.errors import BundleRefused
from product_classifier.probabilities import Floats, softmax, softplus_logits
from product_classifier.taxonomy import Codes
from product_classifier.taxonomy.stored_codes import all_to_stored
from product_classifier.text.features import TextFeatures, count_distinct, split_pages, term_weights
from product_classifier.text.model import TextModel
from product_classifier.text.word_contributions import Method, TextExplanation, WordContribution, explain_without_words
from product_classifier.text.word_spans import word_spans
from product_classifier.top_probabilities import top_columns


@dataclass(frozen=True)
class SparseTable:
    """Weights `[buckets, classes]` of which most are 0, by bucket."""

    starts: NDArray[np.int64]
    """Position of the first weight of each bucket, and the end of the last `[buckets + 1]`."""
    columns: NDArray[np.uint16]
    """Category of each weight."""
    weights: NDArray[np.float16]

    def margins(self, buckets: NDArray[np.intp], values: Floats, classes: int) -> Floats:
        """Return the sums `[classes]` of the weights of buckets, each multiplied by its value."""
        begins, lengths = self.starts[buckets], self.starts[buckets + 1] - self.starts[buckets]
        ends = np.cumsum(lengths)
        if not len(ends) or not ends[-1]:
            return np.zeros(classes, np.float32)
        taken = np.arange(ends[-1]) + np.repeat(begins - ends + lengths, lengths)
        products = self.weights[taken] * np.repeat(values, lengths)
        return np.bincount(self.columns[taken], products, classes).astype(np.float32)

    def column(self, buckets: NDArray[np.intp], category: int) -> Floats:
        """Return the weights `[n]` of one category."""
        found = np.zeros(len(buckets), np.float32)
        for row, bucket in enumerate(buckets.tolist()):
            own = slice(self.starts[bucket], self.starts[bucket + 1])
            found[row] = self.weights[own][self.columns[own] == category].sum()
        return found


@dataclass(frozen=True)
class SparseLinear(TextModel):
    """One-vs-rest linear classifiers over hashed TF-IDF, each view normalized to unit length.

    The idf weights are folded into `table`. Probabilities are those of the `CANDIDATES` categories with the highest
    margins, from `softplus_logits` of `factor * margin + offset`; the others have 0.
    """

    TYPE: ClassVar[str] = "sparse-linear"

    features: TextFeatures
    table: SparseTable
    idf: Floats  # [buckets]; 0 for buckets without a training text
    bias: Floats  # [classes]
    prior: Floats  # [classes]
    codes: Codes
    factor: float = 1.0
    offset: float = 0.0

    def margins(self, texts: Sequence[str]) -> Floats:
        """Return margins `[n, classes]` of normalized texts, not calibrated."""
        parts = [self._page_margins(page) for page in split_pages(texts)]
        return np.concatenate(parts) if len(parts) != 1 else parts[0]

    def classify(self, texts: list[str]) -> Floats:
        margins = self.margins(texts)
        columns = top_columns(margins)
        found = np.zeros(margins.shape, np.float32)
        np.put_along_axis(found, columns, self.calibrated(np.take_along_axis(margins, columns, axis=1)), axis=1)
        return found

    def calibrated(self, margins: Floats) -> Floats:
        """Return probabilities `[n, k]` of the categories with the highest margins `[n, k]`."""
        return softmax(softplus_logits((margins * self.factor + self.offset).astype(np.float32)))

    def explain(self, designation: str, description: str, category: int) -> TextExplanation:
        """Return the exact contributions of the words to the margin of a category; see `HashedLinear.explain`."""
        words = word_spans(designation, description)
        if not words:
            return explain_without_words(self.prior, category)
        occurrences = self.features.occurrences(self.prepare(designation, description))
        buckets, counts = count_distinct(occurrences.buckets)
        weights = term_weights(self.idf, buckets.astype(np.intp), counts, self.features.view_starts(buckets, 1))
        column = self.table.column(buckets.astype(np.intp), category) * np.float32(self.factor)
        parts = (weights * column / counts).astype(np.float64)
        halves = parts[np.searchsorted(buckets, occurrences.buckets)] / 2
        shares = [np.bincount(spanned, halves, len(words)) for spanned in (occurrences.first, occurrences.last)]
        intercept = float(self.bias[category]) * self.factor + self.offset
        return TextExplanation(
            Method.LINEAR,
            score=intercept + float(halves.sum() * 2),
            intercept=intercept,
            words=tuple(map(WordContribution, words, (shares[0] + shares[1]).tolist())),
        )

    def save(self, folder: Path) -> None:
        settings = {
            "type": self.TYPE,
            "codes": all_to_stored(self.codes),
            "features": self.features.to_json(),
            "factor": self.factor,
            "offset": self.offset,
        }
        write_json(folder / "model.json", settings)
        used = np.flatnonzero(self.idf)
        write_arrays(
            folder / "weights.npz",
            rows=used.astype(np.int64),
            idf=self.idf[used],
            lengths=np.diff(self.table.starts).astype(np.uint16)[used],
            columns=self.table.columns,
            weights=self.table.weights,
            bias=self.bias,
            prior=self.prior,
        )

    @classmethod
    def read(cls, folder: Path, settings: dict[str, Any]) -> Self:
        """Read the model whose `model.json` holds `settings`.

        Raises:
            BundleRefused: If the files are not a model of this type.
        """
        codes = read_codes(settings, "model.json")
        try:
            features = TextFeatures.from_json(settings["features"])
            factor, offset = float(settings["factor"]), float(settings["offset"])
        except (KeyError, TypeError, ValueError) as error:
            raise BundleRefused(f"model.json: settings are not usable: {error}") from error
        arrays = read_arrays(folder / "weights.npz", _DTYPES)
        rows, count = arrays["rows"], int(arrays["lengths"].sum(dtype=np.int64))
        shapes = {"rows": (rows.size,), "idf": (rows.size,), "lengths": (rows.size,)}
        shapes |= {"columns": (count,), "weights": (count,), "bias": (len(codes),), "prior": (len(codes),)}
        check_shapes("weights.npz", arrays, shapes)
        if len(rows) and (rows[0] < 0 or rows[-1] >= features.buckets or (np.diff(rows) <= 0).any()):
            raise BundleRefused(f"weights.npz: rows are not increasing positions below {features.buckets}")
        if count and arrays["columns"].max() >= len(codes):
            raise BundleRefused(f"weights.npz: columns reach {arrays['columns'].max()}, beyond {len(codes)} categories")
        idf, lengths = np.zeros(features.buckets, np.float32), np.zeros(features.buckets + 1, np.int64)
        idf[rows], lengths[rows + 1] = arrays["idf"], arrays["lengths"]
        table = SparseTable(np.cumsum(lengths), arrays["columns"], arrays["weights"])
        return cls(features, table, idf, arrays["bias"], arrays["prior"], codes, factor, offset)

    @cached_property
    def _classes(self) -> int:
        return len(self.codes)

    def _page_margins(self, texts: Sequence[str]) -> Floats:
        margins = np.tile(self.bias, (len(texts), 1))
        keys, counts = self.features.count(texts)
        starts = self.features.view_starts(keys, len(texts))
        buckets = (keys % self.features.buckets).astype(np.intp)
        weights = term_weights(self.idf, buckets, counts, starts)
        edges = starts[:: len(self.features.views) - 1].tolist()
        for row, (start, end) in enumerate(pairwise(edges)):
            margins[row] += self.table.margins(buckets[start:end], weights[start:end], self._classes)
        return margins


_DTYPES = {
    "rows": "int64",
    "idf": "float32",
    "lengths": "uint16",
    "columns": "uint16",
    "weights": "float16",
    "bias": "float32",
    "prior": "float32",
}
