"""Files of labels pass through the gateway in parts, up to their limit."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.feedback_service.app import create_app
from inference.feedback_service.settings import Settings
from product_classifier.catalogue.challenge import CHALLENGE
from tests.inference.auth_proxy.conftest import INTERNAL, Gateway, start
from tests.support.fake_models import served
from tests.support.fakes import FakeStore

ROWS = 300
CSV = {"Content-Type": "text/csv"}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway in front of a real feedback service."""
    store = FakeStore()
    app = create_app(store, None, Settings(internal_token=INTERNAL, state_dir=tmp_path))  # type: ignore[arg-type]
    with served(app) as url:
        yield from start(tmp_path, {"feedback-service": url}, store, import_mb=1)


def test_a_file_is_imported_and_exported(gateway: Gateway) -> None:
    lines = [f"{CHALLENGE.codes[number % 3]},produit numéro {number}" for number in range(ROWS)]
    content = "\n".join(["code,designation", *lines]).encode()

    with gateway.client("remy") as client:
        report = client.post("/feedback/import", content=iter([content[:1000], content[1000:]]), headers=CSV)
        exported = client.get("/feedback/export?format=jsonl")

    assert (ROWS, ROWS) == (report.json()["rows"], report.json()["created"])
    assert ROWS == len(exported.content.splitlines())
    assert 'attachment; filename="corrections.jsonl"' == exported.headers["content-disposition"]
    with gateway.client("ada") as client:
        assert "remy" == client.get("/audit?action=corrections_imported").json()["items"][0]["actor"]


def test_a_file_over_the_limit_and_another_media_type_are_refused(gateway: Gateway) -> None:
    part = b"x" * 65536
    with gateway.client("remy") as client:
        announced = client.post("/feedback/import", content=part * 20, headers=CSV)
        streamed = client.post("/feedback/import", content=iter([part] * 20), headers=CSV)
        other = client.post("/feedback/import", content=b"x", headers={"Content-Type": "image/png"})
        unknown = client.post("/feedback/import?format=xml", content=b"x", headers=CSV)
    with gateway.client("ursula") as client:
        forbidden = client.post("/feedback/import", content=b"code\n", headers=CSV)

    statuses = [one.status_code for one in (announced, streamed, other, unknown, forbidden)]
    assert [413, 413, 415, 422, 403] == statuses
