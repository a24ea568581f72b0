"""Mutual exclusion of writers by key, for S3 stores without conditional writes.

A writer writes a claim object, then lists the claims of the key. Listing is consistent, so of two concurrent writers at
least one sees the other's claim. A writer that sees another claim deletes its own and retries after a random delay.
Claims of crashed writers expire.

Assumptions: clocks differ by less than `CLAIM_EXPIRES_S`, and no writer is suspended that long between claim and write.
A claim dated in the future by more was made before a clock was set back; it expires once it has been observed for
`OBSERVED_S`.
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

CLAIM_EXPIRES_S = 300.0
"""Exceeds the duration of a write: a few requests, each with timeout and retries."""

TIMEOUT_S = 30.0
OBSERVED_S = 20.0
"""Less than `TIMEOUT_S`, so that the observer still writes, and more than a write takes unless the store fails."""


class ClaimStore(Protocol):
    """Storage of claim objects."""

    def write_claim(self, key: str) -> None:
        """Write an empty object."""

    def list_claims(self, prefix: str) -> Sequence[str]:
        """Return the keys with this prefix; consistent with completed writes."""

    def delete_claim(self, key: str) -> None:
        """Delete an object if it exists."""


@contextmanager
def exclusive_claim(claims: ClaimStore, key: str) -> Iterator[None]:
    """Hold the only claim on a key during the block.

    Raises:
        StoreUnavailable: If other writers hold the key for `TIMEOUT_S`.
    """
    folder = f"{RESERVED}/claims/{hashlib.sha256(key.encode()).hexdigest()}/"
    own = _claim(claims, folder, key)
    try:
        yield
    finally:
        claims.delete_claim(own)


def _claim(claims: ClaimStore, folder: str, key: str) -> str:
    until = time.monotonic() + TIMEOUT_S
    first_seen: dict[str, float] = {}
    while time.monotonic() < until:
        own = f"{folder}{time.time():.3f}-{uuid.uuid4().hex}"
        claims.write_claim(own)
        if not _others(claims, folder, own, first_seen):
            return own
        claims.delete_claim(own)
        time.sleep(random.uniform(0.02, 0.3))  # noqa: S311 - jitter, not security
    raise StoreUnavailable(f"{key!r}: other writers held the claim for {TIMEOUT_S:g} s; retry later")


def _others(claims: ClaimStore, folder: str, own: str, first_seen: dict[str, float]) -> bool:
    """Return whether another writer has a claim; delete expired ones."""
    found = False
    for claim in claims.list_claims(folder):
        age_s = time.time() - float(claim.removeprefix(folder).partition("-")[0])
        observed_s = time.monotonic() - first_seen.setdefault(claim, time.monotonic())
        if age_s > CLAIM_EXPIRES_S or (age_s < -CLAIM_EXPIRES_S and observed_s > OBSERVED_S):
            claims.delete_claim(claim)
        elif claim != own:
            found = True
    return found
