"""Quantize a backbone to 8-bit integers, calibrated on photos.

The ranges of activations are edges of fixed bins. The rounding errors of another processor hardly ever move a value to
another edge, so equal photos give an equal graph. The histograms of ONNX Runtime have bins that depend on the first
photos, and take eight times as long.
"""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime import InferenceSession, SessionOptions
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quant_pre_process, quantize_static
from onnxruntime.quantization.calibrate import TensorData, TensorsData, save_tensors_data

from components.train_image.efficientnet_lite0 import PIXEL_SCALE, PIXEL_ZERO
from product_classifier.images.decoding import Pixels

PHOTOS = 128
"""Photos to calibrate on."""
CUT = 5e-5
"""Share of the values of a tensor that may lie below its range, and above."""
_BIN, _LIMIT = 1 / 32, 256
"""Width of a bin, and largest magnitude of an activation."""

Ranges = Mapping[str, tuple[float, float]]


def calibrate(model: onnx.ModelProto, batches: Iterable[Pixels]) -> Ranges:
    """Return the range of each tensor to quantize: that of 99.99 % of its values in the photos.

    Args:
        model: Graph of convolutions, sums and ReLU6 from `pixels`.
        batches: Decoded photos `[n, size, size, 3]`.
    """
    clipped = {node.input[0]: node.output[0] for node in model.graph.node if node.op_type == "Clip"}
    measured = [
        node.output[0]
        for node in model.graph.node
        if node.op_type in ("Conv", "Add", "Clip") and node.output[0] not in clipped
    ]
    counts = {name: np.zeros(round(2 * _LIMIT / _BIN), np.int64) for name in measured}
    session = _session_with_outputs(model, measured)
    for batch in batches:
        for name, values in zip(measured, session.run(measured, {"pixels": batch}), strict=True):
            bins = np.clip((values.ravel() + _LIMIT) / _BIN, 0, len(counts[name]) - 1).astype(np.int64)
            counts[name] += np.bincount(bins, minlength=len(counts[name]))
    ranges = {name: _range(found) for name, found in counts.items()}
    ranges |= {before: ranges[after] for before, after in clipped.items()}  # ReLU6 becomes part of the convolution
    return ranges | {"normalized": (-PIXEL_ZERO * PIXEL_SCALE, (255 - PIXEL_ZERO) * PIXEL_SCALE)}


def quantize(model: onnx.ModelProto, ranges: Ranges) -> onnx.ModelProto:
    """Return the graph in integers: weights int8 per output channel, activations uint8.

    Processors without VNNI add the products of two adjacent weights in 16 bits with saturation. The scales of the
    weights exclude that it is reached, so that all processors compute equal integers.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = {
            tensor: TensorData(lowest=np.float32(low), highest=np.float32(high))
            for tensor, (low, high) in ranges.items()
        }
        save_tensors_data(TensorsData(CalibrationMethod.Percentile, data), folder / "ranges.json")
        onnx.save(model, folder / "float.onnx")
        quant_pre_process(
            folder / "float.onnx", folder / "prepared.onnx", skip_optimization=True, skip_symbolic_shape=True
        )
        quantize_static(
            folder / "prepared.onnx",
            folder / "quantized.onnx",
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Add", "Clip"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.Percentile,
            calibration_cache_path=folder / "ranges.json",
            extra_options={"TensorQuantOverrides": _weight_ranges(model)},
        )
        return onnx.load(folder / "quantized.onnx")


def _session_with_outputs(model: onnx.ModelProto, names: list[str]) -> InferenceSession:
    augmented = onnx.ModelProto()
    augmented.CopyFrom(model)
    augmented.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    options = SessionOptions()
    options.intra_op_num_threads = 1
    return InferenceSession(augmented.SerializeToString(), options)


def _range(counts: NDArray[np.int64]) -> tuple[float, float]:
    """Return the edges of the bins beyond which at most `CUT` of the values lie; the range contains 0."""
    below = np.cumsum(counts) / counts.sum()
    low = np.searchsorted(below, CUT, side="right") * _BIN - _LIMIT
    high = (np.searchsorted(below, 1 - CUT) + 1) * _BIN - _LIMIT
    return min(0.0, float(low)), max(0.0, float(high))


def _weight_ranges(model: onnx.ModelProto) -> dict[str, list[dict[str, Any]]]:
    """Return the range of each output channel of the convolutions that ONNX Runtime computes as matrix products."""
    constants = {one.name: one for one in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        if node.op_type != "Conv" or any(one.name == "group" and one.i > 1 for one in node.attribute):
            continue
        kernels = numpy_helper.to_array(constants[node.input[1]])
        bounds = np.maximum(np.abs(kernels).max(axis=(1, 2, 3)), np.maximum(_pair_sum(kernels), _pair_sum(-kernels)))
        channels: list[dict[str, Any]] = [{"rmin": -float(bound), "rmax": float(bound)} for bound in bounds]
        channels[0]["axis"] = 0
        found[node.input[1]] = [one | {"quant_type": QuantType.QInt8, "symmetric": True} for one in channels]
    return found


def _pair_sum(kernels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the largest sum of two positive weights that are multiplied together, per output channel `[out]`.

    A matrix product takes the input channels in pairs. A kernel of several positions is unrolled, which makes other
    pairs; the sum of the two largest weights bounds all of them.
    """
    weights = np.maximum(kernels, 0)
    if kernels.shape[2] > 1:
        two: NDArray[np.float32] = np.sort(weights.reshape(len(weights), -1), axis=1)[:, -2:].sum(axis=1)
        return two
    channels = np.pad(weights[:, :, 0, 0], ((0, 0), (0, kernels.shape[1] % 2)))
    pairs: NDArray[np.float32] = (channels[:, 0::2] + channels[:, 1::2]).max(axis=1)
    return pairs
