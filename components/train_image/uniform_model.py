"""The image model of a catalogue without photos: equal probabilities, without effect on the fusion."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from components.shared.out_of_fold import OutOfFold, read_labelled
from components.train_image.predicted_photos import PredictedPhotos
from product_classifier.taxonomy import Codes
from product_classifier.top_probabilities import TopProbabilities

MIN_PHOTOS = 2
"""Photos to train on below which no image model is fitted."""
_OPSET, _IR_VERSION = 17, 10


def has_photos(train: Path, validation: Path, codes: Codes) -> bool:
    """Return whether enough products have a photo and a category of the model to fit one."""
    products, _ = read_labelled(train, validation, ("image_path",))
    return int(((products["image_path"] != "") & products["code"].isin(codes)).sum()) >= MIN_PHOTOS


def write_uniform(graph: Path, codes: Codes, size: int) -> PredictedPhotos:
    """Write a graph that returns 1 / classes for each category; there are no out-of-fold predictions."""
    classes = len(codes)
    constants = {"first": np.array([0]), "end": np.array([1]), "classes": np.array([classes])}
    nodes = [
        helper.make_node("Shape", ["pixels"], ["shape"]),
        helper.make_node("Slice", ["shape", "first", "end"], ["rows"]),
        helper.make_node("Concat", ["rows", "classes"], ["target"], axis=0),
        helper.make_node("Expand", ["share", "target"], ["probabilities"]),
    ]
    share = numpy_helper.from_array(np.full((1, classes), 1 / classes, np.float32), "share")
    built = helper.make_graph(
        nodes,
        "uniform",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", size, size, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", classes])],
        [share, *(numpy_helper.from_array(value, name) for name, value in constants.items())],
    )
    onnx.save(helper.make_model(built, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION), graph)
    none = TopProbabilities.uniform(0, classes)
    return PredictedPhotos(OutOfFold(np.zeros(0, np.int64), none, codes), np.zeros(0, np.int64))
