"""The image network, from a configuration or pretrained weights, and its export as one ONNX graph."""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn
from transformers import AutoImageProcessor, AutoModelForImageClassification, ResNetConfig

from components.shared.fine_tuning.export import export_graph
from components.train_image.augmentation import apply

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PhotoClassifier(nn.Module):
    """An image classifier of `transformers` with pixel normalization in its graph."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        network: nn.Module,
        mean: tuple[float, ...] = _MEAN,
        std: tuple[float, ...] = _STD,
        new: Iterable[str] | None = None,
    ) -> None:
        """Wrap a network; `new` are the names of its parameters that were not pretrained, None for all."""
        super().__init__()
        self.network = network
        self._new = None if new is None else frozenset(new)
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(std).view(1, 3, 1, 1))

    def new_parameters(self) -> Iterable[nn.Parameter]:
        """Return the parameters that were not pretrained."""
        return [one for name, one in self.network.named_parameters() if self._new is None or name in self._new]

    def forward(self, pixels: torch.Tensor, *augmentation: torch.Tensor) -> torch.Tensor:
        """Return logits `[n, classes]` of decoded photos, bytes `[n, size, size, 3]`.

        With `augmentation`, as `augmentation.draw` returns it, they are augmented.
        """
        colors = pixels.permute(0, 3, 1, 2).float()  # a view: the memory stays channels last
        if augmentation:
            colors = apply(colors, *augmentation)
        logits: torch.Tensor = self.network(pixel_values=(colors - self.mean) / self.std).logits
        return logits


def small_network(classes: int) -> PhotoClassifier:
    """Return a residual network that trains from scratch in seconds on a CPU."""
    config = ResNetConfig(
        embedding_size=32,
        hidden_sizes=[32, 64, 128, 256],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        num_labels=classes,
    )
    return PhotoClassifier(AutoModelForImageClassification.from_config(config))


def pretrained_network(encoder: str, classes: int) -> PhotoClassifier:
    """Load a backbone by name or folder with its normalization and a new classification head."""
    network, loading = AutoModelForImageClassification.from_pretrained(
        encoder, num_labels=classes, ignore_mismatched_sizes=True, output_loading_info=True, dtype=torch.float32
    )
    new = {*loading["missing_keys"], *(name for name, *_ in loading["mismatched_keys"])}
    processor = AutoImageProcessor.from_pretrained(encoder)
    return PhotoClassifier(network, tuple(processor.image_mean), tuple(processor.image_std), new)


def export(classifier: PhotoClassifier, scale: float, size: int, graph: Path) -> None:
    """Write a graph with a dynamic batch size; `scale` is the factor on the logits."""
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    export_graph(classifier, scale, (example,), {"pixels": {0: "n"}}, graph)
