"""Quantize the matrix products of an encoder to 8-bit integers."""

import tempfile
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quant_pre_process, quantize_dynamic


def quantize(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with integer weights, scaled per output column, and integer activations.

    Activations are scaled by their range in a run. Weights have 7 bits: processors without VNNI add two products in 16
    bits with saturation, which 8 bits would reach.
    So all processors compute equal integers.
    """
    with tempfile.TemporaryDirectory() as name:
        source, prepared, target = (Path(name) / f"{one}.onnx" for one in ("float", "prepared", "quantized"))
        onnx.save(model, source)
        quant_pre_process(source, prepared, skip_optimization=True, skip_symbolic_shape=True)
        quantize_dynamic(
            prepared,
            target,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
        return onnx.load(target)
