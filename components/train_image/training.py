"""Train an image network as well as a number of seconds allows."""

import math
import time

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody calls it
from numpy.typing import NDArray

from components.shared import progress
from components.train_image.network import PixelNetwork
from components.train_image.photos import Photos, vary

_BATCH = 32
_WARM_UP = 0.15


def train(network: PixelNetwork, photos: Photos, epochs: int, budget_s: float, rate: float, seed: int) -> int:
    """Train for `epochs`, or for as many as fit into `budget_s` seconds; return the steps made.

    Where the epochs fit, equal seeds give equal networks. Where they do not, the number of steps depends on the
    machine, and the learning rate still goes all the way down.
    """
    random = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.05, fused=True)
    planned = max(1, epochs * max(1, len(photos) // _BATCH))
    tell, started_s = progress.on_stderr(), time.monotonic()
    network.train().to(memory_format=torch.channels_last)  # twice as fast on a processor
    done, spent = 0, 0.0
    while spent < 1 and len(photos) > 1:  # batch statistics need two
        for rows in torch.randperm(len(photos), generator=random).split(_BATCH):
            if len(rows) == 1 or spent >= 1:
                continue
            for group in optimiser.param_groups:
                group["lr"] = rate * _schedule(spent)
            _step(network, optimiser, photos, rows.numpy(), random)
            done += 1
            # Whichever runs out first: the epochs or the seconds. Looked at anew at each step, for a machine that was
            # busy during the first steps is not busy for ever.
            spent = max(done / planned, (time.monotonic() - started_s) / budget_s)
            tell("training steps", done, planned)
    return done


def logits_of(network: PixelNetwork, photos: Photos) -> NDArray[np.float32]:
    """Classify photos as they are."""
    network.eval()
    with torch.inference_mode():
        parts = [
            network.logits(
                torch.from_numpy(np.ascontiguousarray(photos.pixels[at : at + 256])).permute(0, 3, 1, 2).float()
            )
            for at in range(0, len(photos), 256)
        ]
    return torch.cat(parts).numpy() if parts else np.zeros((0, 0), np.float32)


def _schedule(progress_made: float) -> float:
    """Return the share of the learning rate: up, then down along a cosine."""
    if progress_made < _WARM_UP:
        return 0.1 + 0.9 * progress_made / _WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (progress_made - _WARM_UP) / (1 - _WARM_UP))) + 1e-3


def _step(
    network: PixelNetwork,
    optimiser: torch.optim.Optimizer,
    photos: Photos,
    rows: NDArray[np.int64],
    random: torch.Generator,
) -> None:
    pixels = torch.from_numpy(photos.pixels[rows]).permute(0, 3, 1, 2).float()  # the bytes' order is channels last
    logits = network.logits(vary(pixels, random))
    loss = F.cross_entropy(logits, torch.from_numpy(photos.labels[rows]), label_smoothing=0.1)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
