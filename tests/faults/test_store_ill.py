"""The object store away, slow, resetting, failing or full, while people go on correcting."""

import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from product_classifier.feedback.records import Correction
from product_classifier.store import open_store
from tests.support.fault_proxy import ILLNESSES, FaultProxy, Illness, fault_proxy
from tests.support.feedback_service_harness import Office, corrections, product
from tests.support.servers import minio_binary, minio_server, moto_server, s3_settings

REPEATS = int(os.environ.get("FAULT_REPEATS", "1"))
"""20 for the table of the goals."""
ILL_S = float(os.environ.get("FAULT_SECONDS", "0.5"))
"""60 for the table of the goals."""
CLIENTS, FEWEST = 4, 3
"""However slow the store is, each client has at least so many corrections acknowledged."""


@pytest.fixture(scope="module")
def proxy() -> Iterator[FaultProxy]:
    binary = minio_binary()
    with minio_server(binary) if binary else moto_server() as url, fault_proxy(url) as proxy:
        yield proxy


@pytest.mark.parametrize("illness", ILLNESSES)
def test_an_ill_store_loses_and_doubles_nothing(
    proxy: FaultProxy, tmp_path: Path, illness: Illness, record_property: Callable[[str, object], None]
) -> None:
    counts: Counter[str] = Counter()
    for repeat in range(REPEATS):
        counts += one_illness(proxy, tmp_path / str(repeat), illness)
    for name in ("injected", "acknowledged", "lost", "duplicated", "refused", "not drained in 30 s"):
        record_property(name, counts[name])

    assert counts["injected"] > 0
    assert counts["acknowledged"] >= CLIENTS * FEWEST * REPEATS
    assert (counts["lost"], counts["duplicated"], counts["refused"], counts["not drained in 30 s"]) == (0, 0, 0, 0)


def one_illness(proxy: FaultProxy, journal: Path, illness: Illness) -> Counter[str]:
    bucket = f"s3://ill-{uuid.uuid4().hex}"
    timing = {"s3_connect_timeout_s": 0.5, "s3_read_timeout_s": 0.5, "s3_attempts": 2}
    healthy = open_store(bucket, s3_settings(proxy.url), create=True)
    store = open_store(bucket, s3_settings(proxy.url, **timing))
    acknowledged: dict[str, str] = {}
    before, refused = proxy.injected, [0]
    ended = threading.Event()

    def correct(client: int) -> None:
        for number in range(1, 1_000_000):
            if ended.is_set() and number > FEWEST:
                return
            name = f"{client}-{number}"
            while (reply := office.give(product(name), user=f"user-{client}", key=name)).status_code not in {200, 201}:
                refused[0] += 1
                time.sleep(0.05)
            acknowledged[name] = reply.json()["feedback_id"]
            time.sleep(0.01)

    with Office(store, journal) as office:
        office.give(product("échauffement"))
        threads = [threading.Thread(target=correct, args=(client,)) for client in range(CLIENTS)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        proxy.fall_ill(illness)
        time.sleep(ILL_S)
        proxy.fall_ill("well")
        ended.set()
        for thread in threads:
            thread.join()
        began = time.monotonic()
        drained = office.until_drained()
        late = not drained or time.monotonic() - began > 30
    kept = [Correction.from_json(healthy.get(key), key) for key in corrections(healthy)]
    names = Counter(correction.product.designation for correction in kept if correction.product)
    return Counter(
        {
            "injected": proxy.injected - before,
            "acknowledged": len(acknowledged),
            "lost": sum(names[name] == 0 for name in acknowledged),
            "duplicated": sum(count - 1 for count in names.values()),
            "refused": refused[0],
            "not drained in 30 s": int(late),
        }
    )
