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
from product_classifier.probabilities import Floats, softmax, softplus_logits
from product_classifier.taxonomy import Codes
from product_classifier.text.features import TextFeatures
from product_classifier.text.hashed_linear import HashedLinear

Labels = NDArray[np.int64]
FEW = 5000
"""Up to this many texts are fitted in this process: starting others takes longer."""
TOLERANCE = 0.1
"""Stopping tolerance of the optimizer. A thousandth of it takes a third longer and moves F1 by less than 0.0003."""
UNSEEN_MARGIN = -2.0
"""Margin of a category without training products, below that of a typical negative."""


def fit_and_cross_predict(
    texts: Sequence[str],
    labels: Labels,
    folds: NDArray[np.int64],
    codes: Codes,
    features: TextFeatures,
    C: float,  # noqa: N803 - scikit-learn's name
    seed: int,
) -> tuple[HashedLinear, Floats]:
    """Fit a calibrated model on all texts; return it with the out-of-fold probabilities `[n, classes]`.

    Factor and offset of the calibration are fitted on the margins of all folds together.

    Args:
        texts: Normalized, non-empty texts.
        labels: Columns of their categories in `codes` `[n]`.
        folds: Fold of each text `[n]`.
        codes: Category codes.
        features: Settings of the hashed counts.
        C: Inverse regularization strength.
        seed: Seed of the optimizer.

    Raises:
        CatalogueError: If the texts, or those of all folds but one, have fewer than two categories.
    """
    counts = features.matrix(texts)
    margins = np.zeros((len(texts), len(codes)), np.float32)
    for fold in np.unique(folds):
        held = folds == fold
        fitted = _fit(counts[~held], labels[~held], codes, features, C, seed)
        margins[held] = _margins(fitted, counts[held])
    model = _fit(counts, labels, codes, features, C, seed)
    factor, offset = map(np.float32, fit_margin_calibration(margins, labels))
    calibrated = replace(model, table=model.table * factor, bias=model.bias * factor + offset)
    return calibrated, softmax(softplus_logits(margins * factor + offset))


def fit(
    texts: Sequence[str],
    labels: Labels,
    codes: Codes,
    features: TextFeatures,
    C: float,  # noqa: N803 - scikit-learn's name
    seed: int,
) -> HashedLinear:
    """Fit normalized, non-empty texts to columns of `codes`; the margins are not calibrated.

    Raises:
        CatalogueError: If the texts have fewer than two categories.
    """
    return _fit(features.matrix(texts), labels, codes, features, C, seed)


def _fit(
    counts: csr_matrix,
    labels: Labels,
    codes: Codes,
    features: TextFeatures,
    C: float,  # noqa: N803 - scikit-learn's name
    seed: int,
) -> HashedLinear:
    seen = np.unique(labels)
    if len(seen) < 2:
        raise CatalogueError(f"{len(labels)} texts have {len(seen)} categories, at least 2 are needed; add products")
    idf = idf_of(counts)
    matrix = scaled(counts, idf, features)
    matrix.data = matrix.data.astype(np.float64) * idf[matrix.indices]  # float64 here, or every fit makes a copy
    # Processes, not threads: liblinear has one random generator per process, which threads would share.
    workers = -1 if len(labels) > FEW else 1
    fitted = Parallel(n_jobs=workers)(delayed(_fit_one)(matrix, labels == index, C, seed) for index in seen)
    if workers != 1:
        get_reusable_executor().shutdown()  # idle workers would stay for five minutes
    table = np.zeros((features.buckets, len(codes)), np.float32)
    bias = np.full(len(codes), UNSEEN_MARGIN, np.float32)
    for index, (weights, intercept) in zip(seen, fitted, strict=True):
        table[:, index], bias[index] = weights * idf, intercept
    return HashedLinear(features, table, idf, bias, class_prior(labels, len(codes)), codes)


def _margins(model: HashedLinear, counts: csr_matrix) -> Floats:
    """Return the margins `[n, classes]` of hashed counts, equal to `model.margins` of their texts."""
    margins: Floats = scaled(counts, model.idf, model.features) @ model.table + model.bias
    return margins


def idf_of(counts: csr_matrix) -> Floats:
    """Return idf `[buckets]`, 0 for buckets without a text."""
    texts = counts.shape[0]
    found = np.bincount(counts.indices, minlength=counts.shape[1])
    idf: Floats = np.where(found > 0, np.log((1 + texts) / (1 + found)) + 1, 0).astype(np.float32)
    return idf


def scaled(counts: csr_matrix, idf: Floats, features: TextFeatures) -> csr_matrix:
    """Return counts divided by the TF-IDF norm of their view, without the factor idf."""
    texts, views = counts.shape[0], len(features.views) - 1
    rows = np.repeat(np.arange(texts) * views, np.diff(counts.indptr))
    groups = rows + np.searchsorted(features.views, counts.indices, side="right") - 1
    squares = (counts.data * idf[counts.indices]).astype(np.float64) ** 2
    norms = np.sqrt(np.maximum(np.bincount(groups, squares, minlength=texts * views), 1e-12))
    values = counts.data / norms[groups].astype(np.float32)
    return csr_matrix((values, counts.indices, counts.indptr), shape=counts.shape)


def _fit_one(
    matrix: csr_matrix,
    positive: NDArray[np.bool_],
    C: float,  # noqa: N803 - scikit-learn's name
    seed: int,
) -> tuple[NDArray[np.float64], float]:
    svc = LinearSVC(C=C, tol=TOLERANCE, random_state=seed).fit(matrix, positive)
    return svc.coef_[0], float(svc.intercept_[0])
