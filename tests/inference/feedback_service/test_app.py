"""Corrections, reviews and runs over HTTP while the store is available."""

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest

from product_classifier.feedback.records import Correction, new_id
from product_classifier.limits import MIB, PHOTO_BODY_BYTES
from product_classifier.retraining import RunStore
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import (
    RIGHT,
    WRONG,
    FeedbackHarness,
    correction_keys,
    photo,
    photo_correction,
    product_correction,
    store_prediction,
)


def test_a_correction_of_a_prediction_is_stored_with_that_prediction(
    harness: FeedbackHarness, store: FakeStore
) -> None:
    prediction = store_prediction(store)
    response = harness.submit({"prediction_id": prediction, "code": RIGHT, "comment": "c'est une chemise"})
    (key,) = correction_keys(store)
    stored = Correction.from_json(store.get(key), key)

    assert (response.status_code, response.json()["feedback_id"]) == (201, stored.feedback_id)
    assert (stored.user, stored.code, stored.predicted, stored.comment) == (
        "ann",
        str(RIGHT),
        str(WRONG),
        "c'est une chemise",
    )
    assert stored.product is not None
    assert (stored.product.designation, stored.release) == ("Chemise bleue", "r-20300101T000000-0badcafe")
    assert key == f"feedback/dt=2030-05-05/{stored.feedback_id}.json"


def test_a_photo_is_stored_once_under_its_hash(harness: FeedbackHarness, store: FakeStore) -> None:
    harness.submit(photo_correction())
    harness.submit(photo_correction(), user="bob")
    sha256 = hashlib.sha256(photo()).hexdigest()

    assert list(store.list("images/")) == [f"images/{sha256}"]
    assert store.get(f"images/{sha256}") == photo()
    assert len(correction_keys(store)) == 2


@pytest.mark.parametrize("key", [None, "k-1"])
def test_a_repeated_request_returns_the_first_correction(
    harness: FeedbackHarness, store: FakeStore, key: str | None
) -> None:
    responses = [harness.submit(product_correction(), key=key) for _ in range(3)]

    assert [response.status_code for response in responses] == [201, 200, 200]
    assert len({response.json()["feedback_id"] for response in responses}) == len(correction_keys(store)) == 1


def test_a_repeated_request_is_recognized_after_a_restart_and_on_another_day(store: FakeStore) -> None:
    with FeedbackHarness(store, None) as harness:
        first = harness.submit(product_correction(), key="k-1")
    with FeedbackHarness(store, None) as harness:
        harness.clock.time += timedelta(days=40)
        again = harness.submit(product_correction(), key="k-1")
        other = harness.submit(product_correction(code=WRONG), key="k-1")

    assert (again.status_code, again.json()) == (200, first.json())
    assert (other.status_code, len(correction_keys(store))) == (409, 1)


def test_a_request_repeated_around_midnight_on_a_server_with_a_slow_clock_is_recognized(store: FakeStore) -> None:
    with FeedbackHarness(store, None) as early, FeedbackHarness(store, None) as late:
        late.clock.time = late.clock.time.replace(hour=0, minute=1) + timedelta(days=1)
        early.clock.time = late.clock.time - timedelta(minutes=2)
        late.submit(product_correction("échauffement"))
        first = early.submit(product_correction(), key="k-1")
        again = late.submit(product_correction(), key="k-1")

    assert (first.status_code, again.status_code) == (201, 200)


def test_an_idempotency_key_with_different_content_is_a_conflict(harness: FeedbackHarness, store: FakeStore) -> None:
    prediction = store_prediction(store)
    bodies = [
        product_correction(),
        product_correction(code=WRONG),
        product_correction("Chemise verte"),
        product_correction(comment="non"),
        {"prediction_id": prediction, "code": RIGHT},
        photo_correction(),
    ]
    statuses = [harness.submit(body, key="k-1").status_code for body in bodies]

    assert statuses == [201, 409, 409, 409, 409, 409]
    assert len(correction_keys(store)) == 1


def test_idempotency_keys_of_different_users_do_not_collide(harness: FeedbackHarness, store: FakeStore) -> None:
    statuses = [harness.submit(product_correction(), user=user, key="k-1").status_code for user in ("ann", "bob")]

    assert (statuses, len(correction_keys(store))) == ([201, 201], 2)


@pytest.mark.parametrize("respelled", [False, True], ids=["as sent", "spelled otherwise"])
def test_a_correction_that_contradicts_an_earlier_one_of_the_same_user_names_it(
    harness: FeedbackHarness, respelled: bool
) -> None:
    def submit(designation: str, code: int, user: str = "ann") -> Any:
        return harness.submit({"product": {"designation": designation}, "code": code}, user).json()

    first = submit("Piscine ronde", WRONG)
    same = submit("Piscine ronde!" if respelled else "Piscine ronde", WRONG)
    harness.clock.time += timedelta(seconds=1)
    other_user = submit("Piscine ronde", RIGHT, "bob")
    second = submit("PISCINE  ronde" if respelled else "Piscine ronde", RIGHT)
    other_product = submit("Piscine carrée", RIGHT)

    assert [None, None, None, None] == [one["replaces"] for one in (first, same, other_user, other_product)]
    assert second["replaces"] in {first["feedback_id"], same["feedback_id"]}


def test_a_contradiction_about_one_prediction_is_named_too(harness: FeedbackHarness, store: FakeStore) -> None:
    prediction_id = store_prediction(store)
    first = harness.submit({"prediction_id": prediction_id, "code": WRONG}).json()
    harness.clock.time += timedelta(seconds=1)
    second = harness.submit({"prediction_id": prediction_id, "code": RIGHT}).json()

    assert (None, first["feedback_id"]) == (first["replaces"], second["replaces"])


def test_an_unknown_prediction_is_404_and_nothing_is_stored(harness: FeedbackHarness, store: FakeStore) -> None:
    response = harness.submit({"prediction_id": new_id(), "code": RIGHT})

    assert (response.status_code, response.json()["type"]) == (404, "urn:product-classifier:problem:unknown-prediction")
    assert correction_keys(store) == []


@pytest.mark.parametrize(
    ("body", "status", "mentioned"),
    [
        (product_correction(code=12345), 422, "12345"),
        ({"product": {"designation": "x"}}, 422, "code"),
        ({"code": RIGHT}, 422, "prediction_id"),
        ({"code": RIGHT, "prediction_id": "nope"}, 422, "nope"),
        ({"code": RIGHT, "prediction_id": "../../etc/passwd"}, 422, "../../etc/passwd"),
        ({"code": RIGHT, "product": {}}, 422, "designation"),
        ({"code": RIGHT, "product": {"designation": ""}}, 422, "designation"),
        ({"code": RIGHT, "product": {"designation": "!!!", "description": "<br/>&nbsp;___"}}, 422, "letter or digit"),
        ({"code": RIGHT, "product": {"designation": "nan", "description": "None"}}, 422, "letter or digit"),
        ({"code": RIGHT, "product": {"designation": "x", "price": 3}}, 422, "price"),
        ({"code": RIGHT, "product": {"designation": 3}}, 422, "designation"),
        ({"code": RIGHT, "product": {"image": "AAAA"}}, 422, "JPEG"),
        ({"code": RIGHT, "product": {"image": "?"}}, 422, "base64"),
        ({"code": RIGHT, "product": {"image": "é"}}, 422, "base64"),
        (product_correction(comment="x" * 2001), 422, "comment"),
        (product_correction(comment="\ud800"), 422, "surrogate"),
        ([], 422, "body"),
        ({**product_correction(), "prediction_id": "01907000-0000-7000-8000-000000000000"}, 422, "one of the three"),
        ({"code": RIGHT, "product": {"designation": 3}}, 422, "product.designation: "),
        ({"product": {"designation": "x"}}, 422, "code: "),
    ],
)
def test_an_invalid_request_is_refused_with_the_field_at_fault(
    harness: FeedbackHarness, store: FakeStore, body: object, status: int, mentioned: str
) -> None:
    headers = harness.headers("ann") | {"Content-Type": "application/json"}
    response = harness.client.post("/feedback", content=json.dumps(body), headers=headers)

    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert mentioned in response.json()["detail"]
    assert list(store.list()) == []


@pytest.mark.parametrize("content", [b"{", b"\xff", b"", b"nul", b'{"code":1,}'])
def test_a_body_that_is_not_json_is_refused(harness: FeedbackHarness, content: bytes) -> None:
    headers = harness.headers("ann") | {"Content-Type": "application/json"}
    response = harness.client.post("/feedback", content=content, headers=headers)

    assert response.status_code in {400, 422}
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\tb"])
def test_an_idempotency_key_that_is_not_1_to_255_printable_ascii_characters_is_refused(
    harness: FeedbackHarness, key: str
) -> None:
    headers = harness.headers("ann") | {"Idempotency-Key": key.encode("latin-1")}  # type: ignore[dict-item]

    assert harness.client.post("/feedback", json=product_correction(), headers=headers).status_code == 422


def test_a_body_over_the_limit_is_413_with_and_without_content_length(harness: FeedbackHarness) -> None:
    def chunks() -> object:
        for _ in range(13):
            yield b" " * MIB

    headers = harness.headers("ann") | {"Content-Type": "application/json"}
    whole = harness.client.post("/feedback", content=b" " * (PHOTO_BODY_BYTES + 1), headers=headers)
    chunked = harness.client.post("/feedback", content=chunks(), headers=headers)  # type: ignore[arg-type]

    assert (whole.status_code, chunked.status_code) == (413, 413)
    assert ["close"] * 2 == [response.headers.get("connection") for response in (whole, chunked)]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"X-Internal-Token": "wrong", "X-Auth-User": "adam", "X-Auth-Role": "admin"}, 401),
        ({"X-Internal-Token": "t" * 40}, 401),
        ({"X-Internal-Token": "t" * 40, "X-Auth-User": "adam"}, 403),
        ({"X-Internal-Token": "t" * 40, "X-Auth-User": "adam", "X-Auth-Role": "root"}, 403),
    ],
)
def test_only_requests_with_the_internal_token_a_user_and_a_role_are_accepted(
    harness: FeedbackHarness, headers: dict[str, str], status: int
) -> None:
    assert harness.client.post("/feedback", json=product_correction(), headers=headers).status_code == status


ROUTES = {
    ("POST", "/feedback"): "user",
    ("GET", "/feedback"): "user",
    ("POST", "/feedback/{id}/approve"): "reviewer",
    ("POST", "/feedback/{id}/reject"): "reviewer",
    ("POST", "/retrain"): "admin",
    ("GET", "/retrain"): "admin",
    ("GET", "/retrain/x"): "admin",
}


@pytest.mark.parametrize("role", ["user", "reviewer", "admin"])
@pytest.mark.parametrize("route", ROUTES)
def test_every_route_requires_its_role(harness: FeedbackHarness, route: tuple[str, str], role: str) -> None:
    method, path = route
    ranks = ["user", "reviewer", "admin"]
    response = harness.client.request(method, path, json=product_correction(), headers=harness.headers("someone", role))

    assert (response.status_code == 403) == (ranks.index(role) < ranks.index(ROUTES[route]))


def test_a_review_changes_the_state_and_the_first_decision_stands(harness: FeedbackHarness) -> None:
    identifier = harness.submit(product_correction()).json()["feedback_id"]
    statuses = [
        harness.review(identifier).status_code,
        harness.review(identifier, user="rolf").status_code,
        harness.review(identifier, "reject").status_code,
    ]
    (item,) = harness.list().json()["items"]

    assert statuses == [200, 200, 409]
    assert (item["state"], item["counts"], item["reviewer"]) == ("approved", True, "rita")


@pytest.mark.parametrize("identifier", ["nope", "01907000-0000-7000-8000-000000000000", "..%2f..%2fx"])
def test_a_review_of_an_unknown_correction_is_404(harness: FeedbackHarness, identifier: str) -> None:
    assert harness.review(identifier).status_code == 404


def test_a_review_is_read_after_a_restart(store: FakeStore) -> None:
    with FeedbackHarness(store, None) as harness:
        identifier = harness.submit(product_correction()).json()["feedback_id"]
    with FeedbackHarness(store, None) as harness:
        assert harness.review(identifier, "reject").status_code == 200
    with FeedbackHarness(store, None) as harness:
        assert [item["state"] for item in harness.list().json()["items"]] == ["rejected"]


def test_corrections_are_listed_in_pages_newest_first_and_filtered_by_state(harness: FeedbackHarness) -> None:
    identifiers = []
    for number in range(7):
        harness.clock.time += timedelta(minutes=1)
        identifiers.append(harness.submit(product_correction(f"produit {number}")).json()["feedback_id"])
    harness.review(identifiers[2])
    harness.review(identifiers[4], "reject")
    seen, cursor = [], None
    while True:
        page = harness.list(limit=3, **({"cursor": cursor} if cursor else {})).json()
        seen += [item["feedback_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == identifiers[::-1]
    assert [item["feedback_id"] for item in harness.list(state="rejected").json()["items"]] == [identifiers[4]]
    assert harness.list(state="pending").json()["total"] == 5


def test_paths_in_responses_begin_with_the_prefix_of_the_gateway(harness: FeedbackHarness) -> None:
    harness.submit(product_correction(), role="reviewer")
    admin = harness.headers("adam", "admin") | {"X-Forwarded-Prefix": "/shop"}
    first, second = (harness.client.post("/retrain", headers=admin) for _ in range(2))
    path = f"/shop/retrain/{first.json()['run_id']}"

    assert (path, path) == (first.headers["location"], first.json()["status_url"])
    assert path == second.json()["status_url"]


@pytest.mark.parametrize("query", [{"state": "odd"}, {"limit": 0}, {"limit": 201}, {"cursor": "nope"}])
def test_invalid_list_parameters_are_422(harness: FeedbackHarness, query: dict[str, object]) -> None:
    assert harness.list(**query).status_code == 422


def test_a_requested_run_is_created_once_and_listed(harness: FeedbackHarness) -> None:
    harness.submit(product_correction(), role="reviewer")
    admin = harness.headers("adam", "admin")
    first = harness.client.post("/retrain", headers=admin)
    second = harness.client.post("/retrain", headers=harness.headers("eve", "admin"))
    run_id = first.json()["run_id"]
    found = harness.client.get(first.json()["status_url"], headers=admin).json()
    listed = harness.client.get("/retrain", headers=admin).json()

    assert (first.status_code, first.headers["location"]) == (202, f"/retrain/{run_id}")
    assert (second.status_code, second.json()["run_id"]) == (409, run_id)
    assert (found["cause"], found["requested_by"], found["state"], found["corrections"]) == (
        "manual", "adam", "waiting", 1,
    )  # fmt: skip
    assert (listed["runs"], listed["progress"]) == ([found], {"corrections": 1, "needed": 2})


def test_an_unknown_run_is_404(harness: FeedbackHarness) -> None:
    assert harness.client.get("/retrain/x", headers=harness.headers("adam", "admin")).status_code == 404


def test_damaged_objects_do_not_stop_the_list(harness: FeedbackHarness, store: FakeStore) -> None:
    identifier = harness.submit(product_correction()).json()["feedback_id"]
    store.objects["feedback/dt=2030-05-05/garbage.json"] = b"\x00"
    store.objects["feedback/readme.txt"] = b"hello"

    assert [item["feedback_id"] for item in harness.list().json()["items"]] == [identifier]


def test_a_stored_correction_with_an_unknown_code_is_listed_with_it(harness: FeedbackHarness, store: FakeStore) -> None:
    identifier = harness.submit(product_correction(), role="reviewer").json()["feedback_id"]
    (key,) = correction_keys(store)
    written_by_another_version = Correction.from_json(store.get(key), key).model_copy(update={"code": "9999"})
    store.put(key, written_by_another_version.to_json())

    with FeedbackHarness(store, None) as restarted:
        (listed,) = restarted.list().json()["items"]

        assert (listed["feedback_id"], listed["code"], listed["label"]) == (identifier, 9999, "9999")


def test_a_response_carries_the_request_id_and_is_counted(harness: FeedbackHarness) -> None:
    headers = harness.headers("ann", **{"X-Request-Id": "r-17"})
    response = harness.client.post("/feedback", json=product_correction(), headers=headers)

    assert response.headers["x-request-id"] == "r-17"
    assert 'corrections_acknowledged_total{destination="store"} 1.0' in harness.client.get("/metrics").text


def test_runs_are_listed_in_pages(harness: FeedbackHarness) -> None:
    admin, runs = harness.headers("adam", "admin"), RunStore(harness.store)
    for generation in range(1, 8):
        claim = runs.claim_run(generation, (), cause="manual", requested_by="adam", now=harness.clock())
        runs.finish(generation, claim.run_id, "failed", "a test", harness.clock())
    pages, cursor = [], None
    while True:
        query = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = harness.client.get("/retrain", headers=admin, params=query).json()
        pages.append([int(run["run_id"][8:14]) for run in page["items"]])
        assert page["items"] == page["runs"]
        if (cursor := page["next_cursor"]) is None:
            break

    assert [[7, 6, 5], [4, 3, 2], [1]] == pages
    assert [422, 422] == [
        harness.client.get("/retrain", headers=admin, params=query).status_code
        for query in ({"limit": 0}, {"cursor": "x"})
    ]


def test_corrections_of_uncertain_predictions_are_listed_first(harness: FeedbackHarness, store: FakeStore) -> None:
    made = [harness.submit(product_correction()).json()["feedback_id"]]
    made.insert(0, harness.submit({"prediction_id": store_prediction(store), "code": RIGHT}).json()["feedback_id"])

    first = harness.list(order="uncertain", limit=1).json()
    second = harness.list(order="uncertain", limit=1, cursor=first["next_cursor"]).json()

    items = first["items"] + second["items"]
    assert (made, [0.5, None]) == ([item["feedback_id"] for item in items], [item["confidence"] for item in items])
    assert 422 == harness.list(order="random").status_code


def test_a_correction_takes_a_photo_in_any_spelling_of_base64(harness: FeedbackHarness) -> None:
    picture = photo()
    plain = base64.b64encode(picture).decode()
    spellings = [
        plain,
        base64.urlsafe_b64encode(picture).decode().rstrip("="),
        base64.encodebytes(picture).decode(),
        f"data:image/jpeg;base64,{plain}",
    ]

    replies = [harness.submit({"product": {"image": text}, "code": RIGHT}) for text in spellings]

    assert [201, 200, 200, 200] == [reply.status_code for reply in replies]
    assert 422 == harness.submit({"product": {"image": f"{plain}!"}, "code": RIGHT}).status_code
