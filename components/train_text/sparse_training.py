"""Fit the sparse linear text model of many categories.

Up to `_PAIRS` pairs of text and category, one linear SVM per category is fitted; liblinear copies the texts for each
fit, so one fit has many categories. Beyond, a category is the centroid of its texts (Rocchio): the cost is linear in
the texts, and with few texts per category F1 is the same. Small weights are dropped in both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags_array, vstack
from sklearn.svm import LinearSVC

from components.train_text import linear_training
from product_classifier.errors import CatalogueError
from product_classifier.fusion.calibration import class_prior, fit_margin_calibration
from product_classifier.probabilities import Floats
from product_classifier.taxonomy import Codes
from product_classifier.text.features import TextFeatures
from product_classifier.text.sparse_linear import SparseLinear, SparseTable
from product_classifier.top_probabilities import CANDIDATES, TopProbabilities, batches, label_positions, top_columns

Labels = NDArray[np.int64]
_PAIRS = 50_000_000
"""Texts times categories up to which SVMs are fitted: some ten CPU minutes."""
_CHUNK = 50
"""Categories of one fit, which has the others as one more."""
_MIN_WEIGHT = 0.03
"""Smallest weight of an SVM that is kept; at 417 categories a thirtieth remains and F1 does not fall."""
_BUCKET_CATEGORIES = 150
"""Categories of a bucket beyond which centroids ignore it."""
_CALIBRATED_ON = 20_000


def fit_and_cross_predict(
    texts: Sequence[str],
    labels: Labels,
    folds: NDArray[np.int64],
    codes: Codes,
    features: TextFeatures,
    C: float,  # noqa: N803 - scikit-learn's name
    seed: int,
) -> tuple[SparseLinear, TopProbabilities]:
    """Fit a calibrated model on all texts; return it with the out-of-fold probabilities.

    Arguments and errors are those of `linear_training.fit_and_cross_predict`. Factor and offset of the calibration are
    fitted on the highest margins of at most `_CALIBRATED_ON` texts.
    """
    counts = features.matrix(texts)
    columns = np.zeros((len(texts), min(CANDIDATES, len(codes))), np.int32)
    margins = np.zeros(columns.shape, np.float32)
    for fold in np.unique(folds):
        held = folds == fold
        fitted = _fit(counts[~held], labels[~held], codes, features, C, seed)
        for rows, found in _margins(fitted, counts, np.flatnonzero(held)):
            columns[rows] = top_columns(found, columns.shape[1])
            margins[rows] = np.take_along_axis(found, columns[rows], axis=1)
    model = _fit(counts, labels, codes, features, C, seed)
    sample = np.arange(0, len(texts), -(-len(texts) // _CALIBRATED_ON))
    positions = label_positions(columns[sample], labels[sample])
    known = positions >= 0
    factor, offset = fit_margin_calibration(margins[sample][known], positions[known])
    calibrated = replace(model, factor=factor, offset=offset)
    return calibrated, TopProbabilities(columns, calibrated.calibrated(margins), len(codes))


def _fit(
    counts: csr_matrix,
    labels: Labels,
    codes: Codes,
    features: TextFeatures,
    C: float,  # noqa: N803 - scikit-learn's name
    seed: int,
) -> SparseLinear:
    seen = np.unique(labels)
    if len(seen) < 2:
        raise CatalogueError(f"{len(labels)} texts have {len(seen)} categories, at least 2 are needed; add products")
    idf = linear_training.idf_of(counts)
    matrix = linear_training.scaled(counts, idf, features)
    matrix.data = matrix.data.astype(np.float64) * idf[matrix.indices]
    bias = np.full(len(codes), linear_training.UNSEEN_MARGIN, np.float32)
    if len(labels) * len(seen) <= _PAIRS:
        table = _support_vectors(matrix, labels, seen, bias, C, seed)
    else:
        table = _centroids(matrix, labels, len(codes))
        bias[seen] = 0
    by_bucket = (table.multiply(idf[None])).T.tocsr()
    by_bucket.sort_indices()
    sparse = SparseTable(
        by_bucket.indptr.astype(np.int64), by_bucket.indices.astype(np.uint16), by_bucket.data.astype(np.float16)
    )
    return SparseLinear(features, sparse, idf, bias, class_prior(labels, len(codes)), codes)


def _support_vectors(
    matrix: csr_matrix,
    labels: Labels,
    seen: Labels,
    bias: Floats,
    C: float,  # noqa: N803 - scikit-learn's name
    seed: int,
) -> Any:
    """Return the weights `[classes, buckets]` of one SVM per category, and write their intercepts into `bias`."""
    chunks = [seen[at : at + _CHUNK] for at in range(0, len(seen), _CHUNK)]
    workers = -1 if len(labels) > linear_training.FEW else 1
    fitted = Parallel(n_jobs=workers)(delayed(_fit_chunk)(matrix, labels, chunk, C, seed) for chunk in chunks)
    if workers != 1:
        get_reusable_executor().shutdown()
    shape = (len(bias), matrix.shape[1])
    rows, columns, values = (np.concatenate([part[at] for part in fitted]) for at in range(3))
    for chunk, part in zip(chunks, fitted, strict=True):
        bias[chunk] = part[3]
    return csr_matrix((values, (rows, columns)), shape=shape)


def _fit_chunk(
    matrix: csr_matrix,
    labels: Labels,
    chunk: Labels,
    C: float,  # noqa: N803 - scikit-learn's name
    seed: int,
) -> tuple[Labels, Labels, NDArray[np.float64], NDArray[np.float64]]:
    """Return category, bucket and weight of the kept weights of some categories, and the intercepts."""
    targets = np.where(np.isin(labels, chunk), labels, -1)
    svc = LinearSVC(C=C, tol=linear_training.TOLERANCE, random_state=seed).fit(matrix, targets)
    coef, intercept = svc.coef_, svc.intercept_
    if len(svc.classes_) == 2:  # one difference for two classes
        coef, intercept = np.concatenate([-coef, coef]), np.concatenate([-intercept, intercept])
    own = svc.classes_ >= 0
    coef, intercept = coef[own], intercept[own]
    rows, columns = np.nonzero(np.abs(coef) >= _MIN_WEIGHT)
    return chunk[rows], columns, coef[rows, columns], intercept


def _centroids(matrix: csr_matrix, labels: Labels, classes: int) -> Any:
    """Return weights `[classes, buckets]` from the mean text of each category, normalized to unit length.

    A weight is the root of the mean, so that frequent n-grams of a category do not outweigh the others, times the
    squared inverse category frequency of the bucket, at most 1. Buckets of more than `_BUCKET_CATEGORIES` categories
    tell little and would take most of the memory and time.
    """
    ones = np.ones(len(labels))
    members = csr_matrix((ones, (labels, np.arange(len(labels)))), shape=(classes, len(labels)))
    parts = []
    for start in range(0, classes, _CHUNK):
        sums = (members[start : start + _CHUNK] @ matrix).tocsr()
        lengths = np.sqrt(np.asarray(sums.multiply(sums).sum(axis=1)).ravel())
        parts.append((diags_array(1 / np.maximum(lengths, 1e-12)) @ sums).astype(np.float32))
    table = vstack(parts).tocsr()
    frequency = np.bincount(table.indices, minlength=table.shape[1])
    scale = (np.log((1 + classes) / (1 + frequency)) / np.log(1 + classes)) ** 2
    scale[frequency > _BUCKET_CATEGORIES] = 0
    table.data = np.sqrt(table.data) * scale[table.indices].astype(np.float32)
    table.eliminate_zeros()
    return table


def _margins(
    model: SparseLinear, counts: csr_matrix, rows: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], Floats]]:
    """Yield batches of `rows` with their margins `[batch, classes]`, equal to `model.margins` of their texts."""
    shape = (counts.shape[1], len(model.codes))
    table = csr_matrix(
        (model.table.weights.astype(np.float32), model.table.columns.astype(np.int32), model.table.starts), shape=shape
    )
    for batch in batches(len(rows)):
        matrix = linear_training.scaled(counts[rows[batch]], model.idf, model.features)
        yield rows[batch], (matrix @ table).toarray() + model.bias
