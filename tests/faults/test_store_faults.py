"""An object store that is unreachable, slow, failing or full while clients send corrections."""

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
from tests.support.fault_proxy import FAULTS, Fault, FaultProxy, fault_proxy
from tests.support.feedback_service_harness import FeedbackHarness, correction_keys, product_correction
from tests.support.servers import minio_binary, minio_server, moto_server, s3_settings

pytestmark = pytest.mark.slow

REPEATS = int(os.environ.get("FAULT_REPEATS", "1"))
"""Faults of each kind; 20 for the published table."""
FAULT_S = float(os.environ.get("FAULT_SECONDS", "0.5"))
"""Duration of a fault; 60 for the published table."""
CLIENTS, MIN_CORRECTIONS = 4, 3
"""Each client sends at least so many corrections, however slow the store is."""


@pytest.fixture(scope="module")
def proxy() -> Iterator[FaultProxy]:
    binary = minio_binary()
    with minio_server(binary) if binary else moto_server() as url, fault_proxy(url) as proxy:
        yield proxy


@pytest.mark.parametrize("fault", FAULTS)
def test_no_acknowledged_correction_is_lost_or_duplicated_by_a_store_fault(
    proxy: FaultProxy, tmp_path: Path, fault: Fault, record_property: Callable[[str, object], None]
) -> None:
    counts: Counter[str] = Counter()
    for repeat in range(REPEATS):
        counts += inject(proxy, tmp_path / str(repeat), fault)
    for name in ("injected", "acknowledged", "lost", "duplicated", "refused", "not drained in 30 s"):
        record_property(name, counts[name])

    assert counts["injected"] > 0
    assert counts["acknowledged"] >= CLIENTS * MIN_CORRECTIONS * REPEATS
    assert (counts["lost"], counts["duplicated"], counts["refused"], counts["not drained in 30 s"]) == (0, 0, 0, 0)


def inject(proxy: FaultProxy, journal: Path, fault: Fault) -> Counter[str]:
    """Inject a fault under load; return what was counted."""
    bucket = f"s3://faults-{uuid.uuid4().hex}"
    timing = {"s3_connect_timeout_s": 0.5, "s3_read_timeout_s": 0.5, "s3_attempts": 2}
    healthy = open_store(bucket, s3_settings(proxy.url), create=True)
    store = open_store(bucket, s3_settings(proxy.url, **timing))
    acknowledged: dict[str, str] = {}
    before, refused = proxy.injected, [0]
    ended = threading.Event()

    def submit(client: int) -> None:
        for number in range(1, 1_000_000):
            if ended.is_set() and number > MIN_CORRECTIONS:
                return
            name = f"{client}-{number}"
            body, user = product_correction(name), f"user-{client}"
            while (response := harness.submit(body, user=user, key=name)).status_code not in {200, 201}:
                refused[0] += 1
                time.sleep(0.05)
            acknowledged[name] = response.json()["feedback_id"]
            time.sleep(0.01)

    with FeedbackHarness(store, journal) as harness:
        harness.submit(product_correction("échauffement"))
        threads = [threading.Thread(target=submit, args=(client,)) for client in range(CLIENTS)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        proxy.set_fault(fault)
        time.sleep(FAULT_S)
        proxy.set_fault("none")
        ended.set()
        for thread in threads:
            thread.join()
        began = time.monotonic()
        replayed = harness.wait_until_replayed()
        late = not replayed or time.monotonic() - began > 30
    stored = [Correction.from_json(healthy.get(key), key) for key in correction_keys(healthy)]
    names = Counter(correction.product.designation for correction in stored if correction.product)
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
