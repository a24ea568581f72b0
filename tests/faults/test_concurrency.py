"""Concurrent clients with few idempotency keys: one object per key, a conflict for different content."""

import os
import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from inference.feedback_service.service import Caller, VersionedCode
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import FeedbackConflict, StoreUnavailable
from product_classifier.feedback.records import Correction, ProductContent
from product_classifier.store import ObjectStore
from product_classifier.store.journal import Journal
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import correction_keys, make_service

pytestmark = pytest.mark.slow

OPERATIONS = int(os.environ.get("FEEDBACK_OPERATIONS", "10000"))
CLIENTS, SERVERS, KEYS = 32, 2, 1500


class UnreliableStore(FakeStore):
    """Fails two writes in a hundred, one of them after the object was stored."""

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        chance = random.random()
        if chance > 0.01:
            super().put(key, data, only_if_absent=only_if_absent)
        if chance < 0.02:
            raise StoreUnavailable("reset by peer")


def submit_concurrently(
    store: ObjectStore, tmp_path: Path, servers: int, operations: int = OPERATIONS
) -> tuple[Counter[str], dict[tuple[str, str], set[str]]]:
    """Return counts of outcomes and, per user and key, the ids that were acknowledged."""
    made = [make_service(store, Journal(tmp_path / str(server), max_bytes=1 << 26)) for server in range(servers)]
    replays = [threading.Thread(target=writer.run) for _, writer in made]
    counts: Counter[str] = Counter()
    acknowledged: dict[tuple[str, str], set[str]] = {}
    lock = threading.Lock()

    def client(number: int) -> None:
        chance = random.Random(number)
        for _ in range(operations // CLIENTS):
            service, _ = chance.choice(made)
            user, key, variant = f"user-{chance.randrange(4)}", f"key-{chance.randrange(KEYS)}", chance.randrange(2)
            product = ProductContent(designation=key)
            try:
                code = VersionedCode(CHALLENGE.codes[variant])
                result = service.correct_product(Caller(user, "user"), key, product, code, "")
                name = "new" if result.destination else "replay"
            except FeedbackConflict:
                name = "conflict"
            with lock:
                counts[name] += 1
                if name != "conflict":
                    acknowledged.setdefault((user, key), set()).add(f"{result.correction.feedback_id} {variant}")

    clients = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in [*replays, *clients]:
        thread.start()
    for thread in clients:
        thread.join()
    for _, writer in made:
        while writer.pending_count:
            with suppress(StoreUnavailable):
                writer.recover()
        writer.close()
    for replay in replays:
        replay.join()
    return counts, acknowledged


def stored(store: ObjectStore) -> Counter[tuple[str, str]]:
    """Count the stored corrections of each user and key."""
    found = (Correction.from_json(store.get(key), key) for key in correction_keys(store))
    return Counter((item.user, item.product.designation) for item in found if item.product)


def test_thirty_two_clients_on_two_servers_store_one_object_per_key(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    store = FakeStore()
    counts, acknowledged = submit_concurrently(store, tmp_path, SERVERS)
    for name, count in counts.items():
        record_property(name, count)

    assert sum(counts.values()) == OPERATIONS // CLIENTS * CLIENTS
    assert counts["conflict"] > OPERATIONS / 20
    assert counts["new"] == len(acknowledged)
    assert stored(store) == dict.fromkeys(acknowledged, 1)
    assert {len(ids) for ids in acknowledged.values()} == {1}


def test_one_server_with_an_unreliable_store_stores_one_object_per_key(tmp_path: Path) -> None:
    store = UnreliableStore()
    counts, acknowledged = submit_concurrently(store, tmp_path, 1, OPERATIONS // 4)

    assert counts["new"] == len(acknowledged)
    assert stored(store) == dict.fromkeys(acknowledged, 1)
    assert {len(ids) for ids in acknowledged.values()} == {1}
