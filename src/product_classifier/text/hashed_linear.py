"""A linear text model over hashed n-gram counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

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


@dataclass(frozen=True)
class HashedLinear(TextModel):
    """One-vs-rest linear classifiers over hashed TF-IDF, each view normalized to unit length.

    The idf weights are folded into `table`. `table` and `bias` are scaled so that `softplus_logits` of the margins are
    calibrated.
    """

    TYPE: ClassVar[str] = "hashed-linear"

    features: TextFeatures
    table: Floats  # [buckets, classes]
    idf: Floats  # [buckets]; 0 for buckets without a training text
    bias: Floats  # [classes]
    prior: Floats  # [classes]
    codes: Codes

    def margins(self, texts: Sequence[str]) -> Floats:
        """Return margins `[n, classes]` of normalized texts; a text without known features has the bias."""
        parts = [self._page_margins(page) for page in split_pages(texts)]
        return np.concatenate(parts) if len(parts) != 1 else parts[0]

    def classify(self, texts: list[str]) -> Floats:
        return softmax(softplus_logits(self.margins(texts)))

    def explain(self, designation: str, description: str, category: int) -> TextExplanation:
        """Return the exact contributions of the words to the margin of a category.

        The margin is a sum over n-grams. What an n-gram adds is divided equally between its occurrences, and that of an
        occurrence between the first and the last word it spans.
        """
        words = word_spans(designation, description)
        if not words:
            return explain_without_words(self.prior, category)
        occurrences = self.features.occurrences(self.prepare(designation, description))
        buckets, counts = count_distinct(occurrences.buckets)
        weights = term_weights(self.idf, buckets.astype(np.intp), counts, self.features.view_starts(buckets, 1))
        parts = (weights * self.table[buckets, category] / counts).astype(np.float64)
        halves = parts[np.searchsorted(buckets, occurrences.buckets)] / 2
        shares = [np.bincount(spanned, halves, len(words)) for spanned in (occurrences.first, occurrences.last)]
        return TextExplanation(
            Method.LINEAR,
            score=float(self.bias[category]) + float(halves.sum() * 2),
            intercept=float(self.bias[category]),
            words=tuple(map(WordContribution, words, (shares[0] + shares[1]).tolist())),
        )

    def save(self, folder: Path) -> None:
        write_json(folder / "model.json", self.settings())
        self.save_arrays(folder)

    def settings(self) -> dict[str, Any]:
        """Return what `model.json` holds."""
        return {"type": self.TYPE, "codes": all_to_stored(self.codes), "features": self.features.to_json()}

    def save_arrays(self, folder: Path) -> None:
        """Write `weights.npz` into an existing folder."""
        used = np.flatnonzero(self.idf)
        write_arrays(
            folder / "weights.npz",
            rows=used.astype(np.int64),
            weights=self.table[used],
            idf=self.idf[used],
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
        except (KeyError, TypeError, ValueError) as error:
            raise BundleRefused(f"model.json: features are not usable: {error}") from error
        dtypes = {"rows": "int64", "weights": "float32", "idf": "float32", "bias": "float32", "prior": "float32"}
        arrays = read_arrays(folder / "weights.npz", dtypes)
        rows = arrays["rows"]
        shapes = {"rows": (rows.size,), "weights": (rows.size, len(codes)), "idf": (rows.size,)}
        check_shapes("weights.npz", arrays, shapes | {"bias": (len(codes),), "prior": (len(codes),)})
        if len(rows) and (rows.min() < 0 or rows.max() >= features.buckets):
            raise BundleRefused(f"weights.npz: rows reach {rows.max()}, beyond {features.buckets} buckets")
        table = np.zeros((features.buckets, len(codes)), np.float32)
        idf = np.zeros(features.buckets, np.float32)
        table[rows], idf[rows] = arrays["weights"], arrays["idf"]
        return cls(features, table, idf, arrays["bias"], arrays["prior"], codes)

    def _page_margins(self, texts: Sequence[str]) -> Floats:
        margins = np.tile(self.bias, (len(texts), 1))
        keys, counts = self.features.count(texts)
        starts = self.features.view_starts(keys, len(texts))
        buckets = (keys % self.features.buckets).astype(np.intp)
        weights = term_weights(self.idf, buckets, counts, starts)
        edges = starts[:: len(self.features.views) - 1].tolist()
        for row, (start, end) in enumerate(pairwise(edges)):
            margins[row] += weights[start:end] @ self.table.take(buckets[start:end], axis=0)
        return margins
