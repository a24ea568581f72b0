"""A prediction record is stored, waits on disk, or is said to be lost; never anything else."""

import asyncio
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client import generate_latest

from inference.auth_proxy.metrics import Metrics
from inference.durability.writer import Kept, Recorder
from product_classifier.feedback.records import prediction_key
from product_classifier.store.journal import Entry, Journal
from tests.inference.auth_proxy.conftest import Gateway
from tests.support.fakes import FakeStore


class SlowStore(FakeStore):
    """Takes its time."""

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        time.sleep(0.3)
        super().put(key, data, only_if_absent=only_if_absent)


def recorder(store: FakeStore, folder: Path, *, backlog: int = 1000, journal: int = 10_000) -> Recorder:
    return Recorder(store, Journal(folder, max_bytes=journal), Metrics(), deadline_s=0.1, backlog_bytes=backlog)


ENTRIES = [Entry("images/x", b"photo"), Entry("predictions/x.json", b"{}")]


async def test_what_the_store_takes_is_stored_once(tmp_path: Path) -> None:
    store = FakeStore()
    keeper = recorder(store, tmp_path)

    outcomes = [await keeper.keep(ENTRIES), await keeper.keep(ENTRIES)]

    assert outcomes == [Kept.STORED, Kept.STORED]
    assert store.objects == {entry.key: entry.data for entry in ENTRIES}


async def test_a_slow_store_costs_the_deadline_and_still_gets_the_record(tmp_path: Path) -> None:
    store = SlowStore()
    keeper = recorder(store, tmp_path)

    outcome = await keeper.keep(ENTRIES)
    await keeper.close()

    assert outcome == Kept.PENDING
    assert set(store.objects) == {entry.key for entry in ENTRIES}


async def test_records_wait_on_disk_while_the_store_is_away_and_survive_a_restart(tmp_path: Path) -> None:
    store = FakeStore()
    store.away = True
    before = recorder(store, tmp_path)
    outcomes = [await before.keep([Entry(f"predictions/{n}.json", b"{}")]) for n in range(5)]
    await before.close()
    after = recorder(store, tmp_path)
    after.drain()
    still_away = dict(store.objects)
    store.away = False

    after.drain()

    assert outcomes == [Kept.PENDING] * 5
    assert still_away == {}
    assert sorted(store.objects) == [f"predictions/{n}.json" for n in range(5)]


async def test_the_store_is_used_again_after_it_came_back(tmp_path: Path) -> None:
    store = FakeStore()
    store.away = True
    keeper = recorder(store, tmp_path)
    away = await keeper.keep(ENTRIES)
    store.away = False
    keeper.drain()

    back = await keeper.keep([Entry("predictions/later.json", b"{}")])

    assert (away, back) == (Kept.PENDING, Kept.STORED)
    assert len(store.objects) == 3


async def test_with_store_and_disk_gone_the_loss_is_said(tmp_path: Path) -> None:
    store = FakeStore()
    store.away = True
    keeper = recorder(store, tmp_path, journal=10)

    assert await keeper.keep(ENTRIES * 10) == Kept.LOST


async def test_the_backlog_in_memory_has_an_end(tmp_path: Path) -> None:
    keeper = recorder(SlowStore(), tmp_path, backlog=100)

    outcomes = await asyncio.gather(*(keeper.keep([Entry(f"k/{n}", bytes(40))]) for n in range(4)))
    await keeper.close()

    assert sorted(outcomes) == [Kept.LOST, Kept.LOST, Kept.PENDING, Kept.PENDING]


async def test_a_flipped_byte_in_the_journal_costs_one_record(tmp_path: Path) -> None:
    store = FakeStore()
    store.away = True
    keeper = recorder(store, tmp_path)
    for n in range(3):
        await keeper.keep([Entry(f"predictions/{n}.json", b"payload")])
    await keeper.close()
    _flip_a_byte(tmp_path)
    store.away = False

    recorder(store, tmp_path).drain()

    assert (len(store.objects), _damaged(tmp_path)) == (2, 1)


def _flip_a_byte(folder: Path) -> None:
    (segment,) = folder.glob("*.journal")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)


def _damaged(folder: Path) -> int:
    return len(list(folder.glob("*.damaged")))


def test_an_outage_of_the_store_is_answered_through_and_made_good(gateway: Gateway) -> None:
    gateway.store.away = True
    with gateway.client() as client:
        away = [client.post("/predict", json={"designation": f"x{n}"}) for n in range(3)]
        gateway.store.away = False
        deadline = time.monotonic() + 10
        keys = [prediction_key(r.json()["prediction_id"]) for r in away]
        while not set(keys) <= set(gateway.store.objects) and time.monotonic() < deadline:
            time.sleep(0.05)

    assert {(r.status_code, r.headers["prediction-record"]) for r in away} == {(200, "pending")}
    assert set(keys) <= set(gateway.store.objects)


@pytest.mark.parametrize("own_gateway", [{"max_in_flight": 2}], indirect=True)
async def test_more_than_can_be_done_at_once_is_refused_at_once(own_gateway: Gateway) -> None:
    own_gateway.models.delay_s = 0.3
    async with httpx.AsyncClient(
        base_url=own_gateway.url, headers=own_gateway.headers(), trust_env=False, verify=False
    ) as client:
        replies = await asyncio.gather(*(client.post("/predict", json={"designation": "x"}) for _ in range(6)))
        own_gateway.models.delay_s = 0
        after = await client.post("/predict", json={"designation": "x"})

    statuses = sorted(r.status_code for r in replies)
    assert statuses == [200, 200, 503, 503, 503, 503]
    assert {r.headers.get("retry-after") for r in replies if r.status_code == 503} == {"1"}
    assert after.status_code == 200


@pytest.mark.parametrize("own_gateway", [{"max_in_flight": 1}], indirect=True)
async def test_a_caller_who_hangs_up_gives_the_place_back(own_gateway: Gateway) -> None:
    own_gateway.models.delay_s = 30
    body = b'{"designation": "x"}'
    token = own_gateway.token().encode()
    _, writer = await asyncio.open_connection("127.0.0.1", own_gateway.port)
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer %b\r\n"
    writer.write(head % token + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    await asyncio.sleep(0.2)
    writer.close()
    own_gateway.models.delay_s = 0
    async with httpx.AsyncClient(
        base_url=own_gateway.url, headers=own_gateway.headers(), trust_env=False, verify=False
    ) as client:
        async with asyncio.timeout(20):
            while (after := await client.post("/predict", json={"designation": "x"})).status_code == 503:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        metrics = generate_latest(own_gateway.metrics.registry).decode()

    assert 200 == after.status_code
    assert 'gateway_requests_total{method="POST",route="/predict",status="499"} 1.0' in metrics
