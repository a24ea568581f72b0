"""Fit the default image model: a pretrained, frozen backbone and a linear layer on its features."""

from pathlib import Path

import numpy as np
import onnx

from components.shared import linear_head, progress
from components.shared.out_of_fold import OutOfFold
from components.train_image import efficientnet_lite0, quantization
from components.train_image.labelled_photos import LabelledPhotos, read_labelled_photos
from components.train_image.photo_features import compute_features, decode_batches
from components.train_image.predicted_photos import PredictedPhotos
from product_classifier.errors import InvalidSettings
from product_classifier.taxonomy import Codes


def fit_frozen(
    train: Path,
    validation: Path,
    raw: Path,
    graph: Path,
    codes: Codes,
    size: int,
    precision: str,
    C: float,  # noqa: N803 - scikit-learn's name
    seed: int,
) -> PredictedPhotos:
    """Write the graph of the model; return the out-of-fold predictions. See `step.run`.

    The linear layer is fitted on the features of the quantized backbone, so that it makes up for the quantization.

    Raises:
        InvalidSettings: If `size` is too small for the backbone.
    """
    if size < efficientnet_lite0.SMALLEST:
        raise InvalidSettings(f"train_image.size: is {size}; use at least {efficientnet_lite0.SMALLEST}")
    photos = read_labelled_photos(train, validation, raw, codes, seed)
    backbone = efficientnet_lite0.build(efficientnet_lite0.read_weights(), size)
    if precision == "int8":
        backbone = _quantized(backbone, photos, size, seed)
    features, decoded = compute_features(backbone, photos, size)
    photos, features = photos.take(decoded), features[decoded]
    head, probabilities = linear_head.fit_and_cross_predict(
        features, photos.labels, photos.folds, len(codes), C, progress.on_stderr()
    )
    onnx.save(linear_head.attach(head, backbone), graph)
    return PredictedPhotos(OutOfFold(photos.product_ids, probabilities, codes), photos.labels)


def _quantized(backbone: onnx.ModelProto, photos: LabelledPhotos, size: int, seed: int) -> onnx.ModelProto:
    """Return the backbone in integers, calibrated on a sample of the photos."""
    rows = np.random.default_rng(seed).permutation(len(photos))[: quantization.PHOTOS]
    return quantization.quantize(backbone, quantization.calibrate(backbone, decode_batches(photos, rows, size)))
