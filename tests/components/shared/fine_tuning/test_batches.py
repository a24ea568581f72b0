"""Tests of the division of products into batches."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.shared.fine_tuning.batches import epoch_batches, micro_batches


@given(
    lengths=st.lists(st.integers(1, 192), min_size=1, max_size=300),
    batch_size=st.integers(2, 64),
    count=st.integers(1, 4),
    epoch=st.integers(0, 3),
)
def test_every_product_is_trained_on_in_every_epoch(
    lengths: list[int], batch_size: int, count: int, epoch: int
) -> None:
    by_process = [epoch_batches(np.array(lengths), batch_size, rank, count, 27, epoch) for rank in range(count)]

    rows = np.concatenate([batch for batches in by_process for batch in batches])
    assert set(range(len(lengths))) == set(rows.tolist())
    assert len(rows) - len(lengths) <= max(2 * count, count)
    shapes = {tuple(map(len, batches)) for batches in by_process}
    assert 1 == len(shapes)
    assert all(2 <= size <= batch_size for size in shapes.pop())


def test_batches_are_equal_at_every_start_and_differ_between_epochs() -> None:
    lengths = np.arange(1, 200)

    first, repeated, following = (epoch_batches(lengths, 8, 0, 1, 27, epoch) for epoch in (0, 0, 1))

    assert all(map(np.array_equal, first, repeated))
    assert not all(map(np.array_equal, first, following))


def test_batches_by_length_have_little_padding() -> None:
    lengths = np.random.default_rng(1).integers(3, 192, 4096)

    batches = epoch_batches(lengths, 32, 0, 1, 27, 0)

    padded = sum(len(rows) * lengths[rows].max() for rows in batches)
    assert padded < 1.05 * lengths.sum()


def test_processes_halve_the_number_of_batches() -> None:
    lengths = np.ones(1000, np.int64)

    assert 50 == len(epoch_batches(lengths, 20, 0, 1, 27, 0))
    assert 25 == len(epoch_batches(lengths, 20, 1, 2, 27, 0))


@given(count=st.integers(2, 300), size=st.integers(2, 64))
def test_micro_batches_have_two_products_or_more(count: int, size: int) -> None:
    parts = micro_batches(np.arange(count), size)

    assert np.array_equal(np.arange(count), np.concatenate(parts))
    assert 2 <= min(map(len, parts))
    assert max(map(len, parts)) <= max(size, 3)
