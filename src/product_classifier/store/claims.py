"""One writer per key on an S3 store that has no conditional writes.

Write a claim, then look for other claims. Two writers that overlap cannot both miss each other, because each writes
before it looks and S3 lists what was written: whoever sees another claim takes its own back, waits a random moment
and tries again, so at most one goes on. A writer that dies leaves its claim behind, which ends by itself.

What it rests on: clocks that differ by less than `CLAIM_ENDS_AFTER_S`, and no writer that sleeps that long between
its claim and its write. Stores with conditional writes need none of this.
"""

import hashlib
import random
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from product_classifier.errors import StoreUnavailable
from product_classifier.store.object_keys import RESERVED

CLAIM_ENDS_AFTER_S = 300.0
"""Longer than a writer can take: a few requests, each with its time limit and its attempts."""

GIVE_UP_AFTER_S = 30.0


class Board(Protocol):
    """Where claims are pinned."""

    def pin(self, key: str) -> None:
        """Write an empty object."""

    def pinned(self, prefix: str) -> Sequence[str]:
        """List keys, the ones just written included."""

    def unpin(self, key: str) -> None:
        """Remove an object."""


@contextmanager
def claimed(board: Board, key: str) -> Iterator[None]:
    """Hold the only claim on a key."""
    folder = f"{RESERVED}/claims/{hashlib.sha256(key.encode()).hexdigest()}/"
    mine = _claim(board, folder, key)
    try:
        yield
    finally:
        board.unpin(mine)


def _claim(board: Board, folder: str, key: str) -> str:
    until = time.monotonic() + GIVE_UP_AFTER_S
    while time.monotonic() < until:
        mine = f"{folder}{time.time():.3f}-{uuid.uuid4().hex}"
        board.pin(mine)
        if not _others(board, folder, mine):
            return mine
        board.unpin(mine)
        time.sleep(random.uniform(0.02, 0.3))  # noqa: S311 - spreads writers, guards nothing
    raise StoreUnavailable(f"{key!r} is being written by others")


def _others(board: Board, folder: str, mine: str) -> bool:
    found = False
    for claim in board.pinned(folder):
        made_s = float(claim.removeprefix(folder).partition("-")[0])
        if time.time() - made_s > CLAIM_ENDS_AFTER_S:
            board.unpin(claim)
        elif claim != mine:
            found = True
    return found
