"""Export a classifier with its calibration as one ONNX graph."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

Axes = Mapping[str, Mapping[int, str]]


class CalibratedClassifier(nn.Module):
    """A classifier that returns calibrated probabilities `[n, classes]`."""

    def __init__(self, classifier: nn.Module, scale: float) -> None:
        super().__init__()
        self.classifier, self.scale = classifier, scale

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return probabilities of the classifier's inputs."""
        return torch.softmax(self.scale * self.classifier(*inputs), dim=1)


def export_graph(classifier: nn.Module, scale: float, example: tuple[Any, ...], axes: Axes, graph: Path) -> None:
    """Write a self-contained graph from the inputs, in the order of `axes`, to `probabilities`.

    Args:
        classifier: Module that returns logits, on the CPU.
        scale: Factor on the logits.
        example: Inputs to trace it with.
        axes: Name of each input to its dimensions of variable size.
        graph: File to write.
    """
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the TorchScript exporter warns of its deprecation; the newer one takes ten times as long
        torch.onnx.export(
            CalibratedClassifier(classifier, scale).eval(),
            example,
            str(graph),
            input_names=list(axes),
            output_names=["probabilities"],
            dynamic_axes={**{name: dict(found) for name, found in axes.items()}, "probabilities": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
