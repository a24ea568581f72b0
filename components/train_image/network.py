"""The image network: built from a configuration or loaded with pretrained weights, exported as one ONNX graph."""

import warnings
from pathlib import Path

import torch
from torch import nn
from transformers import AutoImageProcessor, AutoModelForImageClassification, ResNetConfig

from product_classifier.taxonomy import CODES

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PixelNetwork(nn.Module):
    """A classifier of `transformers` that takes photos as bytes and normalises them itself."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, mean: tuple[float, ...] = _MEAN, std: tuple[float, ...] = _STD) -> None:
        super().__init__()
        self.network = network
        self.scale = 1.0
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(std).view(1, 3, 1, 1))

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """Classify colours from 0 to 255 `[n, 3, size, size]`."""
        answer: torch.Tensor = self.network(pixel_values=(pixels - self.mean) / self.std).logits
        return answer

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Classify decoded photos, bytes `[n, size, size, 3]`; the answer is calibrated probabilities."""
        return torch.softmax(self.scale * self.logits(pixels.permute(0, 3, 1, 2).float()), dim=1)


def small_network() -> PixelNetwork:
    """Return a residual network that learns from scratch in seconds on a processor."""
    config = ResNetConfig(
        embedding_size=32,
        hidden_sizes=[32, 64, 128, 256],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        num_labels=len(CODES),
    )
    return PixelNetwork(AutoModelForImageClassification.from_config(config))


def pretrained_network(encoder: str) -> PixelNetwork:
    """Load an encoder by name or folder, with a new head for our categories and its own normalisation."""
    network = AutoModelForImageClassification.from_pretrained(
        encoder, num_labels=len(CODES), ignore_mismatched_sizes=True
    )
    processor = AutoImageProcessor.from_pretrained(encoder)
    return PixelNetwork(network, tuple(processor.image_mean), tuple(processor.image_std))


def export(network: PixelNetwork, size: int, graph: Path) -> None:
    """Write a self-contained ONNX graph that takes any number of photos."""
    network.eval()
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter says so each time; the newer takes ten times as long
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
