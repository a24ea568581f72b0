"""Fit the last layer of a frozen network: multinomial logistic regression on standardized features."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from product_classifier.fusion.calibration import class_prior, fit_logit_scale
from product_classifier.probabilities import Floats, softmax
from product_classifier.top_probabilities import (
    BATCH,
    CANDIDATES,
    TopProbabilities,
    all_columns,
    label_positions,
    top_columns,
)

Labels = NDArray[np.int64]
_WORKERS = 2
"""Fits at a time. Each takes 0.9 GB for 85,000 photos."""
_TOLERANCE = 1e-5
"""Of the gradient. At the default of 1e-4, rounding errors of another processor move probabilities by up to 1e-3."""
_ITERATIONS = 1000
_HIGHEST_FACTOR = 10.0
"""Bounds the confidence where few items are told apart without error."""
_SHRINKAGE = 0.1
_PSEUDO_ITEMS = 1.0
"""Items of the common mean that are added to those of a category."""


@dataclass(frozen=True)
class LinearHead:
    """Logits `features @ weights + bias`, with `weights` `[features, classes]` and `bias` `[classes]`."""

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    def logits(self, features: Floats) -> NDArray[np.float64]:
        """Return logits `[n, classes]` of features `[n, features]`."""
        found: NDArray[np.float64] = features.astype(np.float64) @ self.weights + self.bias
        return found

    def scaled(self, factor: float) -> "LinearHead":
        """Return the head with its logits multiplied by a factor."""
        return replace(self, weights=self.weights * factor, bias=self.bias * factor)


def fit_and_cross_predict(
    features: Floats,
    labels: Labels,
    folds: NDArray[np.int64],
    classes: int,
    C: float,  # noqa: N803 - scikit-learn's name
    report: Callable[[str, int, int], None],
) -> tuple[LinearHead, TopProbabilities]:
    """Fit a calibrated head on all items; return it with the out-of-fold probabilities.

    The factor on the logits is fitted on the out-of-fold logits of all folds together. Equal input gives equal results
    on any number of cores: each fit uses one thread, because the order of a sum depends on their number.

    Args:
        features: Features of photos or texts `[n, features]`.
        labels: Columns of their categories `[n]`.
        folds: Fold of each item `[n]`.
        classes: Number of categories.
        C: Inverse regularization strength, as in scikit-learn.
        report: Receives the progress.
    """
    held_out = [folds == fold for fold in np.unique(folds)]
    parts = [~held for held in held_out] + [np.ones(len(labels), np.bool_)]

    def fit_part(rows: NDArray[np.bool_]) -> LinearHead:
        return fit(features[rows], labels[rows], classes, C)

    heads = []
    with threadpool_limits(1), ThreadPoolExecutor(_WORKERS) as threads:
        for head in threads.map(fit_part, parts):
            heads.append(head)
            report("heads fitted", len(heads), len(parts))
        columns = np.array(all_columns(len(labels), min(classes, CANDIDATES)))
        logits = np.zeros(columns.shape)
        for head, held in zip(heads, held_out, strict=False):
            for rows in np.array_split(np.flatnonzero(held), -(-np.count_nonzero(held) // BATCH)):
                found = head.logits(features[rows])
                if classes > CANDIDATES:
                    columns[rows] = top_columns(found)
                logits[rows] = np.take_along_axis(found, columns[rows], axis=1)
    positions = label_positions(columns, labels)
    known = positions >= 0
    factor = fit_logit_scale(logits[known], positions[known], highest=_HIGHEST_FACTOR)
    probabilities = TopProbabilities(columns, softmax((logits * factor).astype(np.float32)), classes)
    return heads[-1].scaled(factor), probabilities


def fit(
    features: Floats,
    labels: Labels,
    classes: int,
    C: float,  # noqa: N803 - scikit-learn's name
) -> LinearHead:
    """Fit features `[n, features]` to columns `[n]` of `classes` categories.

    A category without items has the constant logit that its smoothed frequency gives. With fewer than two categories
    all logits are constant.
    """
    log_prior = np.log(class_prior(labels, classes).astype(np.float64))
    head = LinearHead(np.zeros((features.shape[1], classes)), log_prior)
    seen = np.unique(labels)
    if len(seen) < 2:
        return head
    if classes > CANDIDATES:
        return _fit_discriminant(features, labels, head)
    values = features.astype(np.float64)
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    deviation[deviation < 1e-6] = 1.0  # a feature that is the same in all items
    values -= mean
    values /= deviation
    model = LogisticRegression(C=C, tol=_TOLERANCE, max_iter=_ITERATIONS).fit(values, labels)
    weights, intercept = model.coef_, model.intercept_
    if len(seen) == 2:  # scikit-learn fits one difference of logits
        weights = np.concatenate([-weights / 2, weights / 2])
        intercept = np.concatenate([-intercept / 2, intercept / 2])
    head.weights[:, seen] = (weights / deviation).T
    head.bias[:] += (intercept - log_prior[seen]).mean()
    head.bias[seen] = intercept - weights @ (mean / deviation)
    return head


def _fit_discriminant(features: Floats, labels: Labels, head: LinearHead) -> LinearHead:
    """Fit a linear discriminant with a shrunk covariance (Friedman 1989), whose cost is linear in the categories.

    The mean of a category is shrunk toward that of all items as far as it has few items. Logistic regression of
    thousands of categories would take hours.
    """
    classes = len(head.bias)
    mean = features.mean(axis=0, dtype=np.float64)
    values = features.astype(np.float64) - mean
    counts = np.bincount(labels, minlength=classes)
    members = csr_array((np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(classes, len(labels)))
    means = (members @ values) / (counts + _PSEUDO_ITEMS)[:, None]
    values -= means[labels]
    covariance = values.T @ values / len(labels)
    trace = np.trace(covariance) / len(covariance)
    covariance = (1 - _SHRINKAGE) * covariance + (_SHRINKAGE * trace + 1e-9) * np.eye(len(covariance))
    weights = np.linalg.solve(covariance, means.T)  # [features, classes]
    bias = head.bias - (weights.T * means).sum(axis=1) / 2 - mean @ weights
    return LinearHead(weights, bias)


def attach(head: LinearHead, backbone: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph to `probabilities`: the backbone, whose output is `features`, followed by the head."""
    return _attach(
        head, backbone, [helper.make_node("Softmax", ["logits"], ["probabilities"], name="probabilities", axis=1)]
    )


def attach_logits(head: LinearHead, backbone: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph to `logits`: the backbone, whose output is `features`, followed by the head."""
    return _attach(head, backbone, [])


def _attach(head: LinearHead, backbone: onnx.ModelProto, last: list[onnx.NodeProto]) -> onnx.ModelProto:
    graph = onnx.GraphProto()
    graph.CopyFrom(backbone.graph)
    graph.initializer.extend(
        numpy_helper.from_array(values.astype(np.float32), name)
        for name, values in (("head.weights", head.weights), ("head.bias", head.bias))
    )
    gemm = helper.make_node("Gemm", ["features", "head.weights", "head.bias"], ["logits"], name="logits")
    graph.node.extend([gemm, *last])
    del graph.output[:]
    shape, output = ["n", len(head.bias)], graph.node[-1].output[0]
    graph.output.append(helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, shape))
    model = helper.make_model(graph, opset_imports=backbone.opset_import, ir_version=backbone.ir_version)
    onnx.checker.check_model(model, full_check=True)
    return model
