"""How long, how fast and in what batches a network is trained."""

import math
from dataclasses import dataclass

from product_classifier.errors import InvalidSettings

_SMALLEST_BATCH, _LARGEST_BATCH, _STEPS_PER_EPOCH = 16, 256, 100
"""Bounds of a batch size that is not set, and the number of steps an epoch then has at least, where they allow it."""
_WARM_UP = 0.1
"""Share of the training in which the learning rates rise."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Numbers of a training; 0 as a batch size means a suitable one."""

    epochs: int
    budget_s: float
    learning_rate: float
    """Maximum for pretrained parameters."""
    head_learning_rate: float
    """Maximum for parameters that were not pretrained."""
    batch_size: int = 0
    """Products per process and optimization step."""
    micro_batch_size: int = 0
    """Products whose activations are in memory at once; gradients are accumulated over a batch."""
    patience: int = 3
    """Epochs without a higher F1 on the validation split after which training ends."""
    seed: int = 27
    weight_decay: float = 0.01
    label_smoothing: float = 0.0

    def products_per_step(self, products: int, processes: int) -> int:
        """Return the batch size of one process for so many products to train on."""
        suitable = products // (_STEPS_PER_EPOCH * processes)
        return self.batch_size or min(max(suitable, _SMALLEST_BATCH), _LARGEST_BATCH)

    def products_in_memory(self, device: str) -> int:
        """Return the size of a micro-batch on a device of this type: `cuda` or `cpu`."""
        return self.micro_batch_size or (_LARGEST_BATCH if device == "cuda" else _SMALLEST_BATCH)


def check_schedule(step: str, schedule: Schedule) -> None:
    """Raise `InvalidSettings`, naming the parameter of `step`, if training is impossible with it."""
    lowest = {"epochs": 1, "batch_size": 0, "micro_batch_size": 0, "patience": 1}
    for name, minimum in lowest.items():
        if (value := getattr(schedule, name)) < minimum:
            raise InvalidSettings(f"{step}.{name}: is {value}; use {minimum} or more")
    for name in ("budget_s", "learning_rate", "head_learning_rate"):
        value = getattr(schedule, name)
        if not (math.isfinite(value) and value > 0):
            raise InvalidSettings(f"{step}.{name}: is {value}; use a number above 0")


def rate_factor(progress: float) -> float:
    """Return the factor of the learning rates: linear warm-up, then cosine decay.

    Args:
        progress: Share of the training that is done.
    """
    if progress < _WARM_UP:
        return 0.05 + 0.95 * progress / _WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP))) + 1e-3
