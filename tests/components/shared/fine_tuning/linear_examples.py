"""A tiny network and labelled vectors to train it on, which tests and their subprocesses import."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from components.shared.fine_tuning.examples import Batch
from components.shared.fine_tuning.training_schedule import Schedule

CLASSES, WIDTH = 4, 12


class TwoLayers(nn.Module):
    """A pretrained layer with dropout, and a new one."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Sequential(nn.Linear(WIDTH, 24), nn.ReLU(), nn.Dropout(0.2))
        self.head = nn.Linear(24, CLASSES)

    def new_parameters(self) -> Iterable[nn.Parameter]:
        return self.head.parameters()

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.body(vectors))
        return logits


@dataclass
class Vectors:
    """Noisy vectors of four categories; `before_load` is called with the number of loaded batches."""

    count: int
    seed: int
    before_load: Callable[[int], object] = lambda _: None
    loaded: int = 0
    lengths: NDArray[np.int64] = field(init=False)
    labels: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        self.labels = random.integers(0, CLASSES, self.count)
        centers = np.random.default_rng(0).normal(size=(CLASSES, WIDTH))
        self.vectors = (centers[self.labels] + random.normal(size=(self.count, WIDTH))).astype(np.float32)
        self.lengths = np.ones(self.count, np.int64)

    def load(self, rows: NDArray[np.int64], random: torch.Generator | None) -> Batch:
        if random is not None:
            self.before_load(self.loaded)
            self.loaded += 1
        noise = 0 if random is None else 0.1 * torch.randn(len(rows), WIDTH, generator=random)
        return Batch((torch.from_numpy(self.vectors[rows]) + noise,), torch.from_numpy(self.labels[rows]))


def schedule(**changes: float) -> Schedule:
    """Return a schedule of 4 epochs of 10 steps for 200 vectors."""
    numbers = {"epochs": 4, "budget_s": 600.0, "learning_rate": 1e-2, "head_learning_rate": 3e-2}
    return Schedule(**(numbers | {"batch_size": 20, "micro_batch_size": 20} | changes))  # type: ignore[arg-type]
