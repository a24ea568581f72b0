"""What a network is trained on, and what it must offer."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs of the network, `[n, ...]` each, and the columns of the products' categories `[n]`."""

    inputs: tuple[torch.Tensor, ...]
    labels: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device; the copy to a GPU does not wait."""
        if device.type == "cpu":
            return self
        inputs = tuple(one.pin_memory().to(device, non_blocking=True) for one in self.inputs)
        return Batch(inputs, self.labels.pin_memory().to(device, non_blocking=True))


class Examples(Protocol):
    """Labelled products; batches are loaded one by one, in another thread."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Columns of the categories `[n]`."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Length of each input `[n]`; batches are of similar length."""

    def load(self, rows: NDArray[np.int64], random: torch.Generator | None) -> Batch:
        """Return the products of these rows, augmented with `random` when they are trained on."""


class Classifier(Protocol):
    """A `torch.nn.Module` that returns logits `[n, classes]`."""

    def new_parameters(self) -> Iterable[torch.nn.Parameter]:
        """Return the parameters that were not pretrained."""
