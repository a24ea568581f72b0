"""The gateway's routes of the taxonomy, with the real feedback service behind it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from inference.feedback_service.app import create_app
from inference.feedback_service.settings import Settings
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.limits import BODY_BYTES, TAXONOMY_CHANGE_BYTES
from product_classifier.stored_taxonomy.change_store import CHANGES_PREFIX, IN_SERVICE_KEY
from product_classifier.taxonomy import Category
from product_classifier.taxonomy.folder import to_bytes
from tests.inference.auth_proxy.conftest import INTERNAL, Gateway, start
from tests.support.fake_models import served
from tests.support.fakes import FakeStore

PATH = "/taxonomy/changes"
CODES = [int(code) for code in CHALLENGE.codes]
CHANGES = [{"do": "add", "code": 7, "labels": {"en": "Games"}}, {"do": "merge", "codes": CODES[:2], "into": 7}]
FILE = {"from": 1, "to": 2, "changes": CHANGES}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    store = FakeStore()
    store.put(IN_SERVICE_KEY, to_bytes(CHALLENGE))
    feedback = create_app(store, None, Settings(internal_token=SecretStr(INTERNAL)))
    with served(feedback, lifespan="on") as url:
        yield from start(tmp_path, {"feedback-service": url}, store)


def recorded(gateway: Gateway) -> list[tuple[Any, ...]]:
    with gateway.client("ada") as client:
        events = client.get("/audit", params={"action": "taxonomy_changed"}).json()["items"]
    return [(one["actor"], one["target"], one["outcome"], one["reason"]) for one in events]


def test_a_change_is_recorded_once_applied_and_a_dry_run_is_not(gateway: Gateway) -> None:
    with gateway.client("ada") as ada, gateway.client("remy") as remy:
        tried = ada.post(PATH, json=FILE, params={"dry_run": "true"})
        before = recorded(gateway)
        applied = ada.post(PATH, json=FILE)
        listed = remy.get(PATH).json()

    assert (tried.status_code, tried.json()["applied"], before) == (200, False, [])
    assert (applied.status_code, applied.json()["changes"]) == (201, CHANGES)
    assert listed == {"items": [applied.json()], "next_cursor": None}
    assert recorded(gateway) == [("ada", "2", "done", "")]


def test_a_refused_change_is_recorded_with_the_reason(gateway: Gateway) -> None:
    file = FILE | {"changes": [{"do": "retire", "code": 11}]}
    with gateway.client("ada") as ada:
        response = ada.post(PATH, json=file)

    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    assert response.json()["detail"].startswith("change 1 (retire): category code '11' is not one of the 27")
    assert recorded(gateway) == [("ada", "", "failed", response.json()["detail"])]


@pytest.mark.parametrize("query", ["dry_run=true&dry_run=false", "dryrun=true", "dry_run=maybe", "dry_run"])
def test_an_ambiguous_dry_run_changes_nothing(gateway: Gateway, query: str) -> None:
    with gateway.client("ada") as ada:
        response = ada.post(f"{PATH}?{query}", json=FILE)

    assert response.status_code in {400, 422}
    assert list(gateway.store.list(CHANGES_PREFIX)) == []
    assert recorded(gateway) == []


def test_roles_sizes_and_media_types_are_those_of_the_contract(gateway: Gateway) -> None:
    with gateway.client("ada") as ada, gateway.client("remy") as remy, gateway.client("ursula") as ursula:
        statuses = [
            ursula.get(PATH).status_code,
            remy.post(PATH, json=FILE).status_code,
            ada.post(PATH, content=json.dumps(FILE), headers={"Content-Type": "text/csv"}).status_code,
            ada.post(PATH, content=b" " * (TAXONOMY_CHANGE_BYTES + 1)).status_code,
        ]
        synonyms = ["x" * 1_000] * (2 * BODY_BYTES // 1_000)
        large = ada.post(PATH, json=FILE | {"changes": [{"do": "add", "code": 7, "synonyms": synonyms}]})

    assert statuses == [403, 403, 415, 413]
    assert large.status_code == 201


def test_a_correction_to_a_category_of_the_newest_change_is_accepted_before_a_release_knows_it(
    gateway: Gateway,
) -> None:
    with gateway.client() as ursula, gateway.client("ada") as ada:
        prediction = ursula.post("/predict", json={"designation": "Jeu de dames"}).json()
        correction = {"prediction_id": prediction["prediction_id"], "code": 7}
        refused = ursula.post("/feedback", json=correction)
        assert ada.post(PATH, json=FILE).status_code == 201
        accepted = ursula.post("/feedback", json=correction)
        merged = ursula.post("/feedback", json={"product": {"designation": "Jeu"}, "code": CODES[0]})
        categories = ursula.get("/categories").json()["categories"]

    assert refused.status_code == 422
    assert "category code '7' is not one of the 27 known codes" in refused.json()["detail"]
    assert (accepted.status_code, accepted.json()["code"], accepted.json()["label"]) == (201, 7, "Games")
    assert (merged.json()["code"], merged.json()["given"]) == (7, CODES[0])
    assert {7, "7"}.isdisjoint(one["code"] for one in categories)


@pytest.mark.parametrize(("version", "stored"), [(None, None), (1, None), (2, 2)], ids=str)
def test_a_record_names_the_version_of_the_taxonomy_that_its_codes_are_of(
    gateway: Gateway, version: int | None, stored: int | None
) -> None:
    gateway.models.taxonomy = None if version is None else replace(CHALLENGE, version=version)
    with gateway.client() as client:
        identifiers = [client.post("/predict", json={"designation": "Jeu"}).json()["prediction_id"]]
        batch = client.post("/predict/batch", json=[{"designation": "Jeu"}, {"designation": "Balle"}]).json()

    identifiers += [one["prediction_id"] for one in batch]
    records = {key: json.loads(gateway.store.get(key)) for key in gateway.store.list("predictions/")}
    assert {record["prediction_id"] for record in records.values()} == set(identifiers)
    assert {record.get("taxonomy_version") for record in records.values()} == {stored}


def test_an_outage_of_the_store_is_a_503_that_nothing_survives(gateway: Gateway) -> None:
    gateway.store.away = True
    with gateway.client("ada") as ada:
        responses = [ada.post(PATH, json=FILE, params={"dry_run": "true"}), ada.post(PATH, json=FILE), ada.get(PATH)]
    gateway.store.away = False

    assert [one.status_code for one in responses] == [503] * 3
    assert {one.headers["content-type"] for one in responses} == {"application/problem+json"}
    assert list(gateway.store.list(CHANGES_PREFIX)) == []


def test_a_prediction_has_the_path_of_its_category_where_there_is_a_tree(gateway: Gateway) -> None:
    below = [replace(one, parent="1") for one in CHALLENGE]
    gateway.models.taxonomy = replace(
        CHALLENGE, categories=(Category("1", {"fr": "Tout"}), *below), codes=CHALLENGE.codes
    )
    with gateway.client() as client:
        category = client.post("/predict", json={"designation": "Jeu"}).json()["category"]
        batch = client.post("/predict/batch", json=[{"designation": "Jeu"}]).json()
        listed = client.get("/categories").json()["categories"]

    assert category["path"] == ["Tout", category["label"]]
    assert batch[0]["category"] == category
    assert category["path"] in [one["path"] for one in listed]
    gateway.models.taxonomy = None
    with gateway.client() as client:
        assert "path" not in client.post("/predict", json={"designation": "Jeu"}).json()["category"]
