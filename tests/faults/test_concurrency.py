"""Many clients, few keys, many orders: one object per key, and a conflict for whoever says something else."""

import os
import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from inference.durability.writer import DurableWriter
from inference.feedback_service.correction_replay import CorrectionReplay
from inference.feedback_service.identity import IdIndex
from inference.feedback_service.service import Desk, Person, utc_now
from product_classifier.errors import FeedbackConflict, StoreUnavailable
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import Correction, ProductContent
from product_classifier.store import ObjectStore
from product_classifier.store.journal import Journal
from product_classifier.taxonomy import CODES
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import corrections

OPERATIONS = int(os.environ.get("FEEDBACK_OPERATIONS", "10000"))
CLIENTS, SERVERS, KEYS = 32, 2, 1500


class Flickering(FakeStore):
    """Fails now and then, before or after the work is done."""

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        fate = random.random()
        if fate > 0.01:
            super().put(key, data, only_if_absent=only_if_absent)
        if fate < 0.02:
            raise StoreUnavailable("reset by peer")


def make_desk(store: ObjectStore, journal: Path) -> tuple[Desk, DurableWriter]:
    ids, book = IdIndex(store), FeedbackIndex(store)
    writer = DurableWriter(
        store, Journal(journal, max_bytes=1 << 26), CorrectionReplay(store, ids, utc_now), max_pause_s=0.3
    )
    return Desk(store, writer, ids, book, utc_now), writer


def flood(
    store: ObjectStore, tmp_path: Path, servers: int, operations: int = OPERATIONS
) -> tuple[Counter[str], dict[tuple[str, str], set[str]]]:
    """Return what happened, and per key the ids that were acknowledged."""
    made = [make_desk(store, tmp_path / str(server)) for server in range(servers)]
    relays = [threading.Thread(target=writer.run) for _, writer in made]
    counts: Counter[str] = Counter()
    acknowledged: dict[tuple[str, str], set[str]] = {}
    lock = threading.Lock()

    def client(number: int) -> None:
        chance = random.Random(number)
        for _ in range(operations // CLIENTS):
            desk, _ = chance.choice(made)
            user, key, variant = f"user-{chance.randrange(4)}", f"key-{chance.randrange(KEYS)}", chance.randrange(2)
            try:
                handed = desk.correct_product(
                    Person(user, "user"), key, ProductContent(designation=key), CODES[variant], ""
                )
                name = "new" if handed.where else "replay"
            except FeedbackConflict:
                name = "conflict"
            with lock:
                counts[name] += 1
                if name != "conflict":
                    acknowledged.setdefault((user, key), set()).add(f"{handed.correction.feedback_id} {variant}")

    clients = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in [*relays, *clients]:
        thread.start()
    for thread in clients:
        thread.join()
    for _, writer in made:
        while writer.pending_count:
            with suppress(StoreUnavailable):
                writer.recover()
        writer.close()
    for relay in relays:
        relay.join()
    return counts, acknowledged


def kept(store: ObjectStore) -> Counter[tuple[str, str]]:
    found = (Correction.from_json(store.get(key), key) for key in corrections(store))
    return Counter((item.user, item.product.designation) for item in found if item.product)


def test_thirty_two_clients_on_two_servers_keep_one_object_per_key(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    store = FakeStore()
    counts, acknowledged = flood(store, tmp_path, SERVERS)
    for name, count in counts.items():
        record_property(name, count)

    assert sum(counts.values()) == OPERATIONS // CLIENTS * CLIENTS
    assert counts["conflict"] > OPERATIONS / 20
    assert counts["new"] == len(acknowledged)
    assert kept(store) == dict.fromkeys(acknowledged, 1)
    assert {len(ids) for ids in acknowledged.values()} == {1}


def test_one_server_before_a_store_that_comes_and_goes_keeps_one_object_per_key(tmp_path: Path) -> None:
    store = Flickering()
    counts, acknowledged = flood(store, tmp_path, 1, OPERATIONS // 4)

    assert counts["new"] == len(acknowledged)
    assert kept(store) == dict.fromkeys(acknowledged, 1)
    assert {len(ids) for ids in acknowledged.values()} == {1}
