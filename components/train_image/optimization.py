"""Train an image network within a number of seconds."""

import math
import time

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody calls it
from numpy.typing import NDArray

from components.shared import progress
from components.train_image.network import PixelNetwork
from components.train_image.photo_array import Photos, augment

_BATCH = 32
_WARM_UP = 0.15


def train_network(
    network: PixelNetwork, photos: Photos, epochs: int, budget_s: float, learning_rate: float, seed: int
) -> int:
    """Train for `epochs` or `budget_s` seconds, whichever ends first; return the number of steps.

    If the epochs fit, equal seeds give equal networks. If not, the number of steps depends on the machine, and the
    learning rate still decays to its end.
    """
    random = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=0.05, fused=True)
    planned = max(1, epochs * max(1, len(photos) // _BATCH))
    report, started_s = progress.on_stderr(), time.monotonic()
    network.train().to(memory_format=torch.channels_last)  # twice as fast on a processor
    done, spent = 0, 0.0
    while spent < 1 and len(photos) > 1:  # batch normalization needs two
        for rows in torch.randperm(len(photos), generator=random).split(_BATCH):
            if len(rows) == 1 or spent >= 1:
                continue
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * _schedule(spent)
            _step(network, optimizer, photos, rows.numpy(), random)
            done += 1
            # Recomputed at each step: on a busy machine the first steps do not predict the speed of the others.
            spent = max(done / planned, (time.monotonic() - started_s) / budget_s)
            report("training steps", done, planned)
    return done


def compute_logits(network: PixelNetwork, photos: Photos) -> NDArray[np.float32]:
    """Return logits `[n, classes]` of photos without augmentation."""
    network.eval()
    with torch.inference_mode():
        parts = [
            network.logits(
                torch.from_numpy(np.ascontiguousarray(photos.pixels[start : start + 256])).permute(0, 3, 1, 2).float()
            )
            for start in range(0, len(photos), 256)
        ]
    return torch.cat(parts).numpy() if parts else np.zeros((0, 0), np.float32)


def _schedule(progress_made: float) -> float:
    """Return the factor of the learning rate: linear warm-up, then cosine decay."""
    if progress_made < _WARM_UP:
        return 0.1 + 0.9 * progress_made / _WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (progress_made - _WARM_UP) / (1 - _WARM_UP))) + 1e-3


def _step(
    network: PixelNetwork,
    optimizer: torch.optim.Optimizer,
    photos: Photos,
    rows: NDArray[np.int64],
    random: torch.Generator,
) -> None:
    pixels = torch.from_numpy(photos.pixels[rows]).permute(0, 3, 1, 2).float()  # a view: the memory stays channels last
    logits = network.logits(augment(pixels, random))
    loss = F.cross_entropy(logits, torch.from_numpy(photos.labels[rows]), label_smoothing=0.1)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
