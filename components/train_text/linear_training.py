"""Fit the hashed linear text model: one binary linear SVM per category, in parallel."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.svm import LinearSVC

from product_classifier.errors import CatalogueError
from product_classifier.fusion.calibration import class_prior, fit_margin_calibration
from product_classifier.text.features import TextFeatures
from product_classifier.text.hashed_linear import HashedLinear

Labels = NDArray[np.int64]
_FEW = 5000
"""Up to this many texts are fitted in this process: starting others takes longer."""
_TOLERANCE = 0.1
"""Stopping tolerance of the optimizer. A thousandth of it takes a third longer and moves F1 by less than 0.0003."""
_UNSEEN_MARGIN = -2.0
"""Margin of a category without training products, below that of a typical negative."""


def fit(
    texts: Sequence[str],
    labels: Labels,
    codes: tuple[int, ...],
    features: TextFeatures,
    C: float,  # noqa: N803 - scikit-learn's name
    seed: int,
) -> HashedLinear:
    """Fit normalized, non-empty texts to columns of `codes`; `calibrate` turns margins into probabilities.

    Raises:
        CatalogueError: If the texts have fewer than two categories.
    """
    seen = np.unique(labels)
    if len(seen) < 2:
        raise CatalogueError(f"{len(texts)} texts have {len(seen)} categories, at least 2 are needed; add products")
    matrix, idf = _tf_idf(features.matrix(texts), features)
    matrix = matrix.astype(np.float64)  # once here, or every fit makes a copy
    # Processes, not threads: liblinear has one random generator per process, which threads would share.
    workers = -1 if len(texts) > _FEW else 1
    fitted = Parallel(n_jobs=workers)(delayed(_fit_one)(matrix, labels == index, C, seed) for index in seen)
    if workers != 1:
        get_reusable_executor().shutdown()  # idle workers would stay for five minutes
    table = np.zeros((features.buckets, len(codes)), np.float32)
    bias = np.full(len(codes), _UNSEEN_MARGIN, np.float32)
    for index, (weights, intercept) in zip(seen, fitted, strict=True):
        table[:, index], bias[index] = weights * idf, intercept
    return HashedLinear(features, table, idf, bias, class_prior(labels, len(codes)), codes)


def calibrate(model: HashedLinear, texts: Sequence[str], labels: Labels) -> HashedLinear:
    """Return the model with margins scaled and shifted to the highest likelihood of held-out texts."""
    factor, offset = map(np.float32, fit_margin_calibration(model.margins(texts), labels))
    return replace(model, table=model.table * factor, bias=model.bias * factor + offset)


def _tf_idf(counts: csr_matrix, features: TextFeatures) -> tuple[csr_matrix, NDArray[np.float32]]:
    """Return TF-IDF rows with each view scaled to unit length, and idf, 0 for buckets without a text."""
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
    matrix: csr_matrix,
    positive: NDArray[np.bool_],
    C: float,  # noqa: N803 - scikit-learn's name
    seed: int,
) -> tuple[NDArray[np.float64], float]:
    svc = LinearSVC(C=C, tol=_TOLERANCE, random_state=seed).fit(matrix, positive)
    return svc.coef_[0], float(svc.intercept_[0])
