"""Compute features of photos in a stream: memory holds a few batches of pixels at a time."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions

from components.shared import progress
from components.train_image.labelled_photos import LabelledPhotos
from product_classifier.errors import InvalidImage
from product_classifier.images import decoding
from product_classifier.observability import get_logger
from product_classifier.probabilities import Floats

_BATCH = 16
_SMALL_BATCH = 4
"""Photos whose activations are all kept at once, 25 MB each."""


def decode_batches(photos: LabelledPhotos, rows: NDArray[np.intp], size: int) -> Iterator[decoding.Pixels]:
    """Yield decoded photos `[n, size, size, 3]` of these rows; a photo that cannot be read is left out."""
    for start in range(0, len(rows), _SMALL_BATCH):
        pixels = [decode(photos, row, size) for row in rows[start : start + _SMALL_BATCH]]
        if decoded := [one for one in pixels if one is not None]:
            yield np.stack(decoded)


def compute_features(backbone: onnx.ModelProto, photos: LabelledPhotos, size: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Return features `[n, features]` of the photos, and which could be decoded; the rows of others are 0.

    Decoders and the graph release the interpreter lock, so threads use all cores. Each photo is computed by one thread:
    the features do not depend on the number of cores.
    """
    session = _session(backbone)
    features = np.zeros((len(photos), session.get_outputs()[0].shape[1]), np.float32)
    decoded = np.zeros(len(photos), np.bool_)
    report = progress.on_stderr()

    def compute(start: int) -> int:
        rows = np.arange(start, min(start + _BATCH, len(photos)))
        pixels = [decode(photos, int(row), size) for row in rows]
        found = rows[[one is not None for one in pixels]]
        if len(found):
            (features[found],) = session.run(
                ["features"], {"pixels": np.stack([one for one in pixels if one is not None])}
            )
            decoded[found] = True
        return len(rows)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        done = 0
        for count in threads.map(compute, range(0, len(photos), _BATCH)):
            done += count
            report("photos encoded", done, len(photos))
    return features, decoded


def _session(model: onnx.ModelProto) -> Any:
    options = SessionOptions()
    options.intra_op_num_threads = 1
    return InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def decode(photos: LabelledPhotos, row: int, size: int) -> decoding.Pixels | None:
    """Return the pixels of a photo; None, with a log event, if its file cannot be decoded any more."""
    try:
        return decoding.decode(photos.read(row), size, trimmed=True)
    except (InvalidImage, OSError) as error:
        get_logger().warning("photo_dropped", photo=photos.path(row), reason=str(error))
        return None
