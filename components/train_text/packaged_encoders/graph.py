"""Build an ONNX graph from token ids to features, node by node."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

OPSET, IR_VERSION = 17, 8


class GraphBuilder:
    """Nodes and constants of a graph under construction; a tensor is known by its name."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def node(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add an operator with one output; return the output's name."""
        self._nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Add a constant; return its name."""
        self._constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def scalar(self, value: float) -> str:
        """Return the name of a float32 constant."""
        return self.constant(f"scalar.{value!r}", np.array(value, np.float32))

    def integers(self, *values: int) -> str:
        """Return the name of a list of int64."""
        return self.constant(f"integers.{'.'.join(map(str, values))}", np.array(values, np.int64))

    def linear(self, tensor: str, weights: NDArray[Any], bias: NDArray[Any] | None, output: str) -> str:
        """Add `tensor @ weights + bias`, with `weights` `[in, out]`."""
        name = self.constant(f"{output}.weight", weights.astype(np.float32))
        if bias is None:
            return self.node("MatMul", [tensor, name], output)
        product = self.node("MatMul", [tensor, name], f"{output}.product")
        return self.node("Add", [product, self.constant(f"{output}.bias", bias.astype(np.float32))], output)

    def layer_norm(self, tensor: str, scale: NDArray[Any], bias: NDArray[Any], epsilon: float, output: str) -> str:
        """Normalize the last axis."""
        constants = [
            self.constant(f"{output}.scale", scale.astype(np.float32)),
            self.constant(f"{output}.bias", bias.astype(np.float32)),
        ]
        return self.node("LayerNormalization", [tensor, *constants], output, axis=-1, epsilon=epsilon)

    def float_mask(self) -> str:
        """Add the attention mask as floats `[n, tokens, 1]`."""
        mask = self.node("Cast", ["attention_mask"], "mask.float", to=onnx.TensorProto.FLOAT)
        return self.node("Unsqueeze", [mask, self.integers(2)], "mask.column")

    def unit_length(self, tensor: str, output: str) -> str:
        """Divide rows `[n, features]` by their Euclidean norm."""
        norm = self.node("ReduceL2", [tensor], f"{output}.norm", axes=[1], keepdims=1)
        bounded = self.node("Max", [norm, self.scalar(1e-6)], f"{output}.bounded")
        return self.node("Div", [tensor, bounded], output)

    def model(self, name: str, features: int) -> onnx.ModelProto:
        """Return the checked model from `input_ids` and `attention_mask` to `features` `[n, features]`."""
        inputs = [
            helper.make_tensor_value_info(one, onnx.TensorProto.INT64, ["n", "tokens"])
            for one in ("input_ids", "attention_mask")
        ]
        output = helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, ["n", features])
        graph = helper.make_graph(self._nodes, name, inputs, [output], list(self._constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model
