"""The multilingual Universal Sentence Encoder, version 3, as an ONNX graph.

Three branches of convolutions over n-grams of token embeddings, a sum over tokens, and four dense layers. Yang et al.
2019, "Multilingual Universal Sentence Encoder for Semantic Retrieval", as the package implements it.
"""

import numpy as np
import onnx
from numpy.typing import NDArray

from components.train_text.packaged_encoders.graph import GraphBuilder
from components.train_text.packaged_encoders.use_file import ORDERS, UseWeights

_END = np.iinfo(np.int64).max


def build_use(weights: UseWeights, kept: NDArray[np.int64]) -> onnx.ModelProto:
    """Return the graph from tokens to `features`; token `i` is row `kept[i]` of the embeddings."""
    return _Use(weights).build(kept)


class _Use:
    """The graph under construction; tensors of tokens have the shape `[n, tokens, dims]`."""

    def __init__(self, weights: UseWeights) -> None:
        self._weights = weights
        self._arrays = weights.arrays
        self._epsilon = weights.arrays["eps"].item()
        self._graph = GraphBuilder()

    def build(self, kept: NDArray[np.int64]) -> onnx.ModelProto:
        graph, arrays = self._graph, self._arrays
        column = graph.float_mask()
        embedded = self._embed(kept)
        branches = [self._branch(projected, column, order) for projected, order in self._project(embedded)]
        joined = graph.node("Concat", [embedded, *branches], "joined", axis=-1)
        normed = graph.layer_norm(joined, arrays["ln_g"], arrays["ln_b"], self._epsilon, "normed")
        masked = graph.node("Mul", [normed, column], "pooling.masked")
        total = graph.node("ReduceSum", [masked, graph.integers(1)], "pooling.sum", keepdims=0)
        count = graph.node("ReduceSum", ["mask.float", graph.integers(1)], "pooling.count", keepdims=1)
        root = graph.node("Sqrt", [count], "pooling.root")
        # The projection of the mean, times the root of the count: the bias is projected before the sum.
        projected = graph.linear(graph.node("Div", [total, root], "pooling.scaled"), arrays["cnn_W"], None, "projected")
        bias = graph.node("Mul", [root, graph.constant("projected.bias", arrays["cnn_b"])], "projected.offset")
        self._dense(graph.node("Add", [projected, bias], "pooled"))
        return graph.model("universal_sentence_encoder", arrays["d3"].shape[1])

    def _embed(self, kept: NDArray[np.int64]) -> str:
        graph = self._graph
        table, scale, offset = self._weights.embeddings(kept)
        rows = graph.node("Gather", [graph.constant("emb.word", table), "input_ids"], "emb.rows")
        values = graph.node("Cast", [rows], "emb.float", to=onnx.TensorProto.FLOAT)
        scales = graph.node("Gather", [graph.constant("emb.scale", scale[:, None]), "input_ids"], "emb.scales")
        offsets = graph.node("Gather", [graph.constant("emb.offset", offset[:, None]), "input_ids"], "emb.offsets")
        return graph.node("Add", [graph.node("Mul", [values, scales], "emb.scaled"), offsets], "emb")

    def _project(self, embedded: str) -> list[tuple[str, int]]:
        """Add the inputs of the branches, which are normalized together; return each with the length of its n-grams."""
        graph = self._graph
        weights, bias, norm, offset = (
            np.concatenate([self._arrays[f"{name}{order}"] for order in ORDERS], axis=-1)
            for name in ("proj", "proj_b", "ln_g", "ln_b")
        )
        projected = graph.linear(embedded, weights, bias, "branches.projected")
        normed = graph.layer_norm(projected, norm, offset, self._epsilon, "branches.normed")
        width = weights.shape[1] // len(ORDERS)
        bounds = [(graph.integers(at * width), graph.integers((at + 1) * width)) for at in range(len(ORDERS))]
        return [
            (graph.node("Slice", [normed, start, end, graph.integers(2)], f"branch{order}"), order)
            for (start, end), order in zip(bounds, ORDERS, strict=True)
        ]

    def _branch(self, projected: str, column: str, order: int) -> str:
        """Add two residual convolutions over n-grams of `order` tokens."""
        first = self._convolve(projected, column, order, 1, f"branch{order}.first")
        return self._convolve(first, column, order, 2, f"branch{order}.second")

    def _convolve(self, tensor: str, column: str, order: int, number: int, name: str) -> str:
        """Add ReLU of the product of each n-gram, plus its middle token; tokens beyond the text count as zeros."""
        graph, arrays = self._graph, self._arrays
        masked = graph.node("Mul", [tensor, column], f"{name}.masked")
        left = (order - 1) // 2
        pads = graph.integers(0, left, 0, 0, order - 1 - left, 0)
        padded = graph.node("Pad", [masked, pads], f"{name}.padded")
        windows = [
            graph.node(
                "Slice",
                [padded, graph.integers(at), graph.integers(at - order + 1 or _END), graph.integers(1)],
                f"{name}.window{at}",
            )
            for at in range(order)
        ]
        unrolled = graph.node("Concat", windows, f"{name}.unrolled", axis=-1)
        weights, bias = arrays[f"w{number}_{order}"], arrays[f"b{number}_{order}"]
        active = graph.node("Relu", [graph.linear(unrolled, weights, bias, f"{name}.product.sum")], f"{name}.active")
        return graph.node("Add", [active, tensor], name)

    def _dense(self, pooled: str) -> None:
        """Add the dense layers with shortcuts: tanh of the last one, at unit length."""
        graph = self._graph
        first = graph.node("Relu", [self._product(pooled, "d0")], "dense0")
        second = graph.node("Relu", [self._sum(pooled, "p1", first, "d1")], "dense1")
        third = graph.node("Relu", [self._product(second, "d2")], "dense2")
        graph.unit_length(graph.node("Tanh", [self._sum(second, "p3", third, "d3")], "dense3"), "features")

    def _product(self, tensor: str, weights: str) -> str:
        return self._graph.linear(tensor, self._arrays[weights], None, f"{weights}.product")

    def _sum(self, shortcut: str, first: str, tensor: str, second: str) -> str:
        return self._graph.node("Add", [self._product(shortcut, first), self._product(tensor, second)], f"{second}.sum")
