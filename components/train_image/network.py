"""The image network, from a configuration or pretrained weights, and its export as one ONNX graph."""

import warnings
from pathlib import Path

import torch
from torch import nn
from transformers import AutoImageProcessor, AutoModelForImageClassification, ResNetConfig

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PixelNetwork(nn.Module):
    """An image classifier of `transformers` with pixel normalization and calibration in its graph."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, mean: tuple[float, ...] = _MEAN, std: tuple[float, ...] = _STD) -> None:
        super().__init__()
        self.network = network
        self.scale = 1.0
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(std).view(1, 3, 1, 1))

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return logits `[n, classes]` of colors from 0 to 255, `[n, 3, size, size]`."""
        logits: torch.Tensor = self.network(pixel_values=(pixels - self.mean) / self.std).logits
        return logits

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return calibrated probabilities `[n, classes]` of decoded photos, bytes `[n, size, size, 3]`."""
        return torch.softmax(self.scale * self.logits(pixels.permute(0, 3, 1, 2).float()), dim=1)


def small_network(classes: int) -> PixelNetwork:
    """Return a residual network that trains from scratch in seconds on a CPU."""
    config = ResNetConfig(
        embedding_size=32,
        hidden_sizes=[32, 64, 128, 256],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        num_labels=classes,
    )
    return PixelNetwork(AutoModelForImageClassification.from_config(config))


def pretrained_network(encoder: str, classes: int) -> PixelNetwork:
    """Load a backbone by name or folder with its normalization and a new classification head."""
    network = AutoModelForImageClassification.from_pretrained(encoder, num_labels=classes, ignore_mismatched_sizes=True)
    processor = AutoImageProcessor.from_pretrained(encoder)
    return PixelNetwork(network, tuple(processor.image_mean), tuple(processor.image_std))


def export(network: PixelNetwork, size: int, graph: Path) -> None:
    """Write a self-contained ONNX graph with a dynamic batch size."""
    network.eval()
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the TorchScript exporter warns of its deprecation; the newer one takes ten times as long
        torch.onnx.export(
            network,
            (example,),
            str(graph),
            input_names=["pixels"],
            output_names=["probabilities"],
            dynamic_axes={"pixels": {0: "n"}, "probabilities": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
