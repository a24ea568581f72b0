"""multilingual-e5-small as an ONNX graph: BERT with post-norm layers, mean pooling, unit length.

Architecture: https://huggingface.co/intfloat/multilingual-e5-small.
"""

import numpy as np
import onnx
from numpy.typing import NDArray

from components.train_text.packaged_encoders.e5_file import E5Weights
from components.train_text.packaged_encoders.graph import GraphBuilder
from product_classifier.probabilities import Floats

_MASKED = -1e4
"""Added to the attention scores of padding."""


def build_e5(weights: E5Weights, kept: NDArray[np.int64]) -> onnx.ModelProto:
    """Return the graph from tokens to `features`; token `i` is row `kept[i]` of the embeddings."""
    return _E5(weights).build(kept)


class _E5:
    """The graph under construction; a hidden state has the shape `[n, tokens, hidden]`."""

    def __init__(self, weights: E5Weights) -> None:
        self._weights = weights
        self._tensors = weights.tensors
        self._graph = GraphBuilder()
        self._hidden = weights.tensors["emb.pos"].shape[1]

    def build(self, kept: NDArray[np.int64]) -> onnx.ModelProto:
        graph = self._graph
        column = graph.float_mask()
        state = self._embed(kept)
        bias = self._attention_bias()
        for layer in range(self._weights.layers):
            state = self._norm(self._sum(state, self._attend(state, bias, layer), f"l{layer}.a"), f"l{layer}.aln")
            state = self._norm(self._sum(state, self._feed_forward(state, layer), f"l{layer}.f"), f"l{layer}.oln")
        masked = graph.node("Mul", [state, column], "pooling.masked")
        total = graph.node("ReduceSum", [masked, graph.integers(1)], "pooling.sum", keepdims=0)
        graph.unit_length(total, "features")  # of unit length, so the sum equals the mean
        return graph.model("multilingual_e5_small", self._hidden)

    def _embed(self, kept: NDArray[np.int64]) -> str:
        """Add the sum of the embeddings of tokens, stored as int8 with a scale per row, and of positions."""
        graph = self._graph
        table, scale = _quantize_rows(self._tensors["emb.word"][kept])
        rows = graph.node("Gather", [graph.constant("emb.word", table), "input_ids"], "emb.rows")
        scales = graph.node("Gather", [graph.constant("emb.scale", scale), "input_ids"], "emb.scales")
        words = graph.node(
            "Mul", [graph.node("Cast", [rows], "emb.float", to=onnx.TensorProto.FLOAT), scales], "emb.words"
        )
        places = graph.constant("emb.pos", self._tensors["emb.pos"] + self._tensors["emb.type"][0])
        shape = graph.node("Shape", ["input_ids"], "tokens.shape", start=1, end=2)
        first = graph.node("Slice", [places, graph.integers(0), shape, graph.integers(0)], "emb.first")
        return self._norm(graph.node("Add", [words, first], "emb.sum"), "emb.ln")

    def _attention_bias(self) -> str:
        """Add what the attention to each token is biased by `[n, 1, 1, tokens]`."""
        graph = self._graph
        absent = graph.node("Sub", [graph.scalar(1.0), "mask.float"], "mask.absent")
        scaled = graph.node("Mul", [absent, graph.scalar(_MASKED)], "mask.scaled")
        return graph.node("Unsqueeze", [scaled, graph.integers(1, 2)], "mask.bias")

    def _attend(self, state: str, bias: str, layer: int) -> str:
        graph, name = self._graph, f"l{layer}"
        scale = (self._hidden // self._weights.heads) ** -0.5
        query = self._heads(self._linear(state, f"{name}.q", scale), f"{name}.q", [0, 2, 1, 3])
        key = self._heads(self._linear(state, f"{name}.k"), f"{name}.k", [0, 2, 3, 1])
        value = self._heads(self._linear(state, f"{name}.v"), f"{name}.v", [0, 2, 1, 3])
        scores = graph.node("Add", [graph.node("MatMul", [query, key], f"{name}.dot"), bias], f"{name}.scores")
        shares = graph.node("Softmax", [scores], f"{name}.shares", axis=-1)
        mixed = graph.node("MatMul", [shares, value], f"{name}.mixed")
        turned = graph.node("Transpose", [mixed], f"{name}.turned", perm=[0, 2, 1, 3])
        joined = graph.node("Reshape", [turned, graph.integers(0, 0, self._hidden)], f"{name}.joined")
        return self._linear(joined, f"{name}.ao")

    def _feed_forward(self, state: str, layer: int) -> str:
        graph, name = self._graph, f"l{layer}"
        inner = self._linear(state, f"{name}.fi")
        scaled = graph.node("Div", [inner, graph.scalar(2**0.5)], f"{name}.gelu.scaled")
        risen = graph.node(
            "Add", [graph.node("Erf", [scaled], f"{name}.gelu.erf"), graph.scalar(1.0)], f"{name}.gelu.risen"
        )
        product = graph.node("Mul", [inner, risen], f"{name}.gelu.product")
        active = graph.node("Mul", [product, graph.scalar(0.5)], f"{name}.gelu")
        return self._linear(active, f"{name}.fo")

    def _heads(self, tensor: str, name: str, axes: list[int]) -> str:
        """Split the last axis into heads, and move the axes."""
        shape = self._graph.integers(0, 0, self._weights.heads, self._hidden // self._weights.heads)
        split = self._graph.node("Reshape", [tensor, shape], f"{name}.split")
        return self._graph.node("Transpose", [split], f"{name}.heads", perm=axes)

    def _linear(self, tensor: str, name: str, scale: float = 1.0) -> str:
        weights, bias = self._tensors[f"{name}.w"].T * scale, self._tensors[f"{name}.b"] * scale
        return self._graph.linear(tensor, weights, bias, name)

    def _norm(self, tensor: str, name: str) -> str:
        scale, bias = self._tensors[f"{name}.w"], self._tensors[f"{name}.b"]
        return self._graph.layer_norm(tensor, scale, bias, self._weights.epsilon, name)

    def _sum(self, left: str, right: str, name: str) -> str:
        return self._graph.node("Add", [left, right], f"{name}.residual")


def _quantize_rows(table: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Return the table in int8 `[n, dims]`, and the scale of each row `[n, 1]`."""
    scale = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-12) / 127
    return np.rint(table / scale).astype(np.int8), scale.astype(np.float32)
