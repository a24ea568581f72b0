"""Divide products into batches of similar length, the same at every start and for each process."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from components.shared.fine_tuning.examples import Batch, Examples

Rows = NDArray[np.int64]
_SORTED_TOGETHER = 64
"""Batches whose products are sorted by length before they are divided: little padding, and still random batches."""


def epoch_batches(lengths: Rows, batch_size: int, rank: int, count: int, seed: int, epoch: int) -> list[Rows]:
    """Return the rows of each batch of the process `rank` of `count`, for one epoch.

    All processes get batches of one size. Rows of an incomplete last batch are filled up with others, to two for each
    process: batch normalization needs two.

    Args:
        lengths: Length of each product `[n]`, in tokens; at least one.
        batch_size: Products per process and batch.
        rank: Number of the process.
        count: Number of processes.
        seed: Seed of the run.
        epoch: Number of the epoch, which gives other batches.
    """
    random = np.random.default_rng((seed, epoch))
    rows = random.permutation(len(lengths))
    size = batch_size * count
    batches = []
    for start in range(0, len(rows), size * _SORTED_TOGETHER):
        group = rows[start : start + size * _SORTED_TOGETHER]
        group = group[np.argsort(lengths[group], kind="stable")]
        batches += [group[at : at + size] for at in range(0, len(group), size)]
    last = min(range(len(batches)), key=lambda number: len(batches[number]))
    missing = max(2 * count, -(-len(batches[last]) // count) * count) - len(batches[last])
    batches[last] = np.concatenate([batches[last], np.resize(rows, missing)])
    return [batches[number][rank::count] for number in random.permutation(len(batches))]


def micro_batches(rows: Rows, size: int) -> list[Rows]:
    """Divide the rows of a batch into parts of at most `size`, but at least two."""
    parts = min(-(-len(rows) // size), max(1, len(rows) // 2))
    return np.array_split(rows, parts)


def load_ahead(examples: Examples, parts: list[Rows], seeds: list[int] | None, device: torch.device) -> Iterator[Batch]:
    """Yield a batch for each part, the next one being loaded in a thread; with seeds it is augmented."""

    def load(number: int) -> Batch:
        random = None if seeds is None else torch.Generator().manual_seed(seeds[number])
        return examples.load(parts[number], random)

    with ThreadPoolExecutor(1) as thread:
        following = [thread.submit(load, number) for number in range(min(1, len(parts)))]
        for number in range(len(parts)):
            batch = following.pop().result()
            if number + 1 < len(parts):
                following.append(thread.submit(load, number + 1))
            yield batch.to(device)
