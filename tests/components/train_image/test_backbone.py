"""Tests of the graph of the backbone, in floats and in integers."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime import InferenceSession

from components.shared import linear_head
from components.train_image import efficientnet_lite0, quantization
from product_classifier.bundles.onnx_guard import check_onnx
from product_classifier.images import decoding
from tests.support.fixtures_models import draw_photo

SIZE = 64


@pytest.fixture(scope="module")
def pixels() -> decoding.Pixels:
    return np.stack([decoding.decode(draw_photo(index), SIZE) for index in range(24)])


@pytest.fixture(scope="module")
def floats() -> onnx.ModelProto:
    return efficientnet_lite0.build(efficientnet_lite0.read_weights(), SIZE)


@pytest.fixture(scope="module")
def integers(floats: onnx.ModelProto, pixels: decoding.Pixels) -> onnx.ModelProto:
    return quantization.quantize(floats, quantization.calibrate(floats, batches(pixels)))


def batches(pixels: decoding.Pixels, size: int = 4) -> Iterator[decoding.Pixels]:
    yield from np.split(pixels, len(pixels) // size)


def features(model: onnx.ModelProto, pixels: decoding.Pixels) -> np.ndarray:
    (found,) = InferenceSession(model.SerializeToString()).run(["features"], {"pixels": pixels})
    return found  # type: ignore[no-any-return]


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}


@pytest.mark.parametrize("size", [64, 75])
def test_features_equal_those_of_pytorch(size: int) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; run `make encoders`")
    functional = torch.nn.functional
    weights = {name: torch.from_numpy(one) for name, one in efficientnet_lite0.read_weights().items()}

    def convolve(values, name, norm, stride=1, activated=True):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        kernels = weights[f"{name}.weight"]
        side, kernel = values.shape[2], kernels.shape[2]
        padding = max(0, (-(-side // stride) - 1) * stride + kernel - side)
        edges = [padding // 2, padding - padding // 2] * 2
        groups = len(kernels) if kernels.shape[1] == 1 else 1
        values = functional.conv2d(functional.pad(values, edges), kernels, stride=stride, groups=groups)
        parts = [weights[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        values = functional.batch_norm(values, *parts, eps=1e-3)
        return functional.relu6(values) if activated else values

    pixels = np.stack([decoding.decode(draw_photo(index), size) for index in range(2)])
    values = convolve((torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127) / 128, "_conv_stem", "_bn0", 2)
    for number in range(16):
        start, prefix = values, f"_blocks.{number}."
        if f"{prefix}_expand_conv.weight" in weights:
            values = convolve(values, f"{prefix}_expand_conv", f"{prefix}_bn0")
        stride = 2 if number in (1, 3, 5, 11) else 1
        values = convolve(values, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride)
        values = convolve(values, f"{prefix}_project_conv", f"{prefix}_bn2", activated=False)
        values = values + start if values.shape == start.shape else values
    expected = convolve(values, "_conv_head", "_bn1").mean((2, 3)).numpy()

    found = features(efficientnet_lite0.build(efficientnet_lite0.read_weights(), size), pixels)
    assert np.allclose(expected, found, atol=1e-4)


def test_integers_keep_the_features(floats: onnx.ModelProto, integers: onnx.ModelProto, pixels: np.ndarray) -> None:
    expected, found = features(floats, pixels), features(integers, pixels)

    similarity = (expected * found).sum(axis=1) / np.linalg.norm(expected, axis=1) / np.linalg.norm(found, axis=1)
    assert similarity.min() > 0.9


def test_no_sum_of_two_products_exceeds_16_bits(integers: onnx.ModelProto) -> None:
    kernels = {
        name: one.astype(int) for name, one in constants(integers).items() if one.dtype == np.int8 and one.ndim == 4
    }
    products = {name: one for name, one in kernels.items() if one.shape[1] > 1}
    highest, lowest = 0, 0
    for one in products.values():
        pairs = one.transpose(0, 2, 3, 1).reshape(len(one), -1)
        pairs = np.pad(pairs, ((0, 0), (0, pairs.shape[1] % 2))).reshape(len(one), -1, 2)
        highest = max(highest, 255 * int(np.maximum(pairs, 0).sum(axis=2).max()))
        lowest = min(lowest, 255 * int(np.minimum(pairs, 0).sum(axis=2).min()))

    assert 33 == len(products)
    assert (highest <= 2**15 - 1, lowest >= -(2**15)) == (True, True)


def test_ranges_are_edges_of_bins(floats: onnx.ModelProto, pixels: np.ndarray) -> None:
    found = quantization.calibrate(floats, batches(pixels))
    again = quantization.calibrate(floats, batches(pixels, 3))

    assert found == again
    edges = [edge * 32 for name, ends in found.items() for edge in ends if name != "normalized"]
    assert edges == [round(edge) for edge in edges]
    assert all(low <= 0 < high for low, high in found.values())


def test_the_guard_accepts_the_graph_and_its_operators(integers: onnx.ModelProto, tmp_path: Path) -> None:
    head = linear_head.LinearHead(np.ones((efficientnet_lite0.FEATURES, 3)), np.zeros(3))
    model = linear_head.attach(head, integers)
    onnx.save(model, tmp_path / "model.onnx")

    check_onnx(tmp_path / "model.onnx")

    layers = {"Add", "Conv", "Flatten", "Gemm", "GlobalAveragePool", "Softmax", "Transpose"}
    assert layers | {"DequantizeLinear", "QuantizeLinear"} == {node.op_type for node in model.graph.node}
