"""Batches over HTTP with the real feedback service: upload, one at a time, progress, result."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from inference.feedback_service.app import create_app
from inference.feedback_service.settings import Settings
from product_classifier.batches.batch_records import (
    BatchResult,
    pending_batches,
    read_upload,
    result_part_key,
    write_result,
)
from tests.inference.auth_proxy.conftest import INTERNAL, Gateway, start
from tests.support.fake_models import served
from tests.support.fakes import FakeStore

CSV = b"designation,description\nChemise,\nPiscine,ronde\n,\n"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    store = FakeStore()
    state = tmp_path_factory.mktemp("feedback")
    settings = Settings(internal_token=SecretStr(INTERNAL), state_dir=state, upload_limit=300_000)
    with served(create_app(store, None, settings), lifespan="on") as url:
        urls = {"feedback-service": url}
        yield from start(tmp_path_factory.mktemp("gateway"), urls, store, upload_limit=200_000, body_limit=20_000)


@pytest.fixture(autouse=True)
def _finish(gateway: Gateway) -> Iterator[None]:
    yield
    for batch in pending_batches(gateway.store):
        finish(gateway, batch.batch_id, done=False)


def finish(gateway: Gateway, batch_id: str, *, done: bool) -> None:
    finished = datetime(2026, 2, 1, tzinfo=UTC)
    gateway.store.put(result_part_key(batch_id, 0), b"line,code\n2,10\n")
    gateway.store.put(result_part_key(batch_id, 1), b"3,2583\n")
    counts = {"scored": 2, "accepted": 1, "rejected": 1, "parts": 2}
    reason = "" if done else "x"
    result = BatchResult(batch_id=batch_id, done=done, reason=reason, finished=finished, **counts)
    write_result(gateway.store, result)


def upload(gateway: Gateway, data: Any = CSV, user: str = "ursula", kind: str = "text/csv", **query: str) -> Any:
    with gateway.client(user) as client:
        return client.post("/batches", content=data, headers={"Content-Type": kind}, params=query)


def test_a_file_is_uploaded_checked_and_its_predictions_are_downloaded(gateway: Gateway) -> None:
    accepted = upload(gateway, name="spring.csv")
    batch = accepted.json()
    path = accepted.headers["location"]
    with gateway.client() as client:
        early = client.get(f"{path}/result")
        finish(gateway, batch["batch_id"], done=True)
        found, result, page = (client.get(one) for one in (path, f"{path}/result", "/batches"))

    assert (202, "waiting", 3, 1, "spring.csv") == (
        accepted.status_code,
        *(batch[name] for name in ("state", "rows", "rejected", "file_name")),
    )
    assert [(4, "neither text nor photo")] == [(one["line"], one["reason"]) for one in batch["problems"]]
    assert CSV == b"".join(read_upload(gateway.store, batch["batch_id"]))
    assert 409 == early.status_code
    assert ("succeeded", 2, 1, f"{path}/result") == tuple(
        found.json()[name] for name in ("state", "classified", "accepted", "result_url")
    )
    assert (b"line,code\n2,10\n3,2583\n", "text/csv; charset=utf-8") == (result.content, result.headers["content-type"])
    assert batch["batch_id"] == page.json()["items"][0]["batch_id"]


def test_a_user_has_one_batch_at_a_time_and_sees_only_the_own(gateway: Gateway) -> None:
    first = upload(gateway).json()
    second = upload(gateway)
    other = upload(gateway, user="remy")
    with gateway.client("remy") as client:
        foreign = client.get(f"/batches/{first['batch_id']}")

    assert (409, f"/batches/{first['batch_id']}") == (second.status_code, second.json()["status_url"])
    assert (202, 404) == (other.status_code, foreign.status_code)


@pytest.mark.parametrize(
    ("data", "kind", "status", "reason"),
    [
        (b"a\n1\n", "text/csv", 422, "none of its columns"),
        (b"no archive", "application/zip", 422, "is no ZIP archive"),
        (CSV, "application/json", 415, "send text/csv or application/zip"),
        (b"designation\n" + b"x" * 200_000, "text/csv", 413, "more than 200000 bytes"),
        (iter([b"designation\n", *[b"x" * 50_000] * 5]), "text/csv", 413, "more than 200000 bytes"),
    ],
)
def test_a_file_that_cannot_be_classified_is_a_problem(
    gateway: Gateway, data: Any, kind: str, status: int, reason: str
) -> None:
    reply = upload(gateway, data, kind=kind)

    assert (status, True) == (reply.status_code, reason in reply.json()["detail"])
    assert [] == pending_batches(gateway.store)


def test_an_upload_may_be_larger_than_other_bodies_and_leaves_nothing_on_disk(
    gateway: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = b"".join(b"Chemise %d\n" % number for number in range(10_000))
    reply = upload(gateway, iter([b"designation\n", rows]))

    assert (202, 10_000) == (reply.status_code, reply.json()["rows"])
    assert [] == list(Path(tmp_path_factory.getbasetemp()).glob("feedback*/uploads/*"))
