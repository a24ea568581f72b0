"""Fit the hashed linear text model: one binary support vector machine per category, all cores at once."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.svm import LinearSVC

from product_classifier.errors import CatalogueError
from product_classifier.fusion.calibration import class_prior, fit_margin_calibration
from product_classifier.taxonomy import CODES
from product_classifier.text.features import TextFeatures
from product_classifier.text.linear import HashedLinear

Labels = NDArray[np.int64]
_FEW = 5000
"""Up to so many texts are fitted before other processes would have started."""
_TOLERANCE = 0.1
"""Where the optimisation stops. A thousandth of it takes a third longer and moves F1 by less than 0.0003."""
_UNSEEN_MARGIN = -2.0
"""What a category without a training product gets: further from any text than those that are merely not meant."""


def fit(texts: Sequence[str], labels: Labels, features: TextFeatures, penalty: float, seed: int) -> HashedLinear:
    """Learn from normalised, non-empty texts and label positions; not calibrated yet."""
    seen = np.unique(labels)
    if len(seen) < 2:
        raise CatalogueError(f"{len(texts)} texts of {len(seen)} categories: at least two categories are needed")
    matrix, idf = _weigh(features.matrix(texts), features)
    matrix = matrix.astype(np.float64)  # once here, or every machine makes a copy of its own
    # Processes, not threads: liblinear has one random generator per process, and equal seeds must give equal models.
    fits = Parallel(n_jobs=-1 if len(texts) > _FEW else 1)
    fitted = fits(delayed(_fit_one)(matrix, labels == index, penalty, seed) for index in seen)
    table = np.zeros((features.buckets, len(CODES)), np.float32)
    bias = np.full(len(CODES), _UNSEEN_MARGIN, np.float32)
    for index, (weights, intercept) in zip(seen, fitted, strict=True):
        table[:, index], bias[index] = weights * idf, intercept
    return HashedLinear(features, table, idf, bias, class_prior(labels, len(CODES)), CODES)


def calibrate(model: HashedLinear, texts: Sequence[str], labels: Labels) -> HashedLinear:
    """Return the model with its margins moved to where held-out texts are answered with the likeliest probabilities."""
    factor, offset = map(np.float32, fit_margin_calibration(model.margins(texts), labels))
    return replace(model, table=model.table * factor, bias=model.bias * factor + offset)


def _weigh(counts: csr_matrix, features: TextFeatures) -> tuple[csr_matrix, NDArray[np.float32]]:
    """Return rows of TF-IDF, each view of length one, and idf, which is 0 for buckets without a text."""
    texts = counts.shape[0]
    found = np.bincount(counts.indices, minlength=counts.shape[1])
    idf = np.where(found > 0, np.log((1 + texts) / (1 + found)) + 1, 0).astype(np.float32)
    counts.data *= idf[counts.indices]
    views = len(features.views) - 1
    rows = np.repeat(np.arange(texts) * views, np.diff(counts.indptr))
    groups = rows + np.searchsorted(features.views, counts.indices, side="right") - 1
    lengths = np.sqrt(np.bincount(groups, counts.data.astype(np.float64) ** 2, minlength=texts * views))
    counts.data /= lengths[groups].astype(np.float32)
    return counts, idf


def _fit_one(
    matrix: csr_matrix, mine: NDArray[np.bool_], penalty: float, seed: int
) -> tuple[NDArray[np.float64], float]:
    machine = LinearSVC(C=penalty, tol=_TOLERANCE, random_state=seed).fit(matrix, mine)
    return machine.coef_[0], float(machine.intercept_[0])
