import hashlib
import json
from datetime import timedelta

import pytest

from product_classifier.feedback.records import Correction, new_id
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import (
    RIGHT,
    WRONG,
    Office,
    corrections,
    photo,
    photographed,
    predict,
    product,
)


def test_a_correction_of_a_prediction_is_kept_with_what_was_answered(office: Office, store: FakeStore) -> None:
    prediction = predict(store)
    reply = office.give({"prediction_id": prediction, "code": RIGHT, "comment": "c'est une chemise"})
    (key,) = corrections(store)
    kept = Correction.from_json(store.get(key), key)

    assert (reply.status_code, reply.json()["feedback_id"]) == (201, kept.feedback_id)
    assert (kept.user, kept.code, kept.predicted, kept.comment) == ("ann", RIGHT, WRONG, "c'est une chemise")
    assert kept.product is not None
    assert (kept.product.designation, kept.release) == ("Chemise bleue", "r-20300101T000000-0badcafe")
    assert key == f"feedback/dt=2030-05-05/{kept.feedback_id}.json"


def test_a_correction_of_a_product_keeps_its_photo_by_its_hash(office: Office, store: FakeStore) -> None:
    office.give(photographed())
    office.give(photographed(), user="bob")
    sha256 = hashlib.sha256(photo()).hexdigest()

    assert list(store.list("images/")) == [f"images/{sha256}"]
    assert store.get(f"images/{sha256}") == photo()
    assert len(corrections(store)) == 2


@pytest.mark.parametrize("key", [None, "k-1"])
def test_the_same_again_is_a_replay_that_keeps_nothing_new(office: Office, store: FakeStore, key: str | None) -> None:
    replies = [office.give(product(), key=key) for _ in range(3)]

    assert [reply.status_code for reply in replies] == [201, 200, 200]
    assert len({reply.json()["feedback_id"] for reply in replies}) == len(corrections(store)) == 1


def test_a_replay_is_known_by_a_new_process_and_on_another_day(store: FakeStore) -> None:
    with Office(store, None) as office:
        first = office.give(product(), key="k-1")
    with Office(store, None) as office:
        office.now.time += timedelta(days=40)
        again = office.give(product(), key="k-1")
        other = office.give(product(code=WRONG), key="k-1")

    assert (again.status_code, again.json()) == (200, first.json())
    assert (other.status_code, len(corrections(store))) == (409, 1)


def test_a_replay_around_midnight_on_a_server_whose_clock_is_behind_finds_the_first(store: FakeStore) -> None:
    with Office(store, None) as early, Office(store, None) as late:
        late.now.time = late.now.time.replace(hour=0, minute=1) + timedelta(days=1)
        early.now.time = late.now.time - timedelta(minutes=2)
        late.give(product("échauffement"))
        first = early.give(product(), key="k-1")
        again = late.give(product(), key="k-1")

    assert (first.status_code, again.status_code) == (201, 200)


def test_the_same_key_for_something_else_is_a_conflict(office: Office, store: FakeStore) -> None:
    prediction = predict(store)
    bodies = [
        product(),
        product(code=WRONG),
        product("Chemise verte"),
        product(comment="non"),
        {"prediction_id": prediction, "code": RIGHT},
        photographed(),
    ]
    statuses = [office.give(body, key="k-1").status_code for body in bodies]

    assert statuses == [201, 409, 409, 409, 409, 409]
    assert len(corrections(store)) == 1


def test_keys_of_different_users_are_different_keys(office: Office, store: FakeStore) -> None:
    statuses = [office.give(product(), user=user, key="k-1").status_code for user in ("ann", "bob")]

    assert (statuses, len(corrections(store))) == ([201, 201], 2)


def test_an_unknown_prediction_is_404_and_nothing_is_kept(office: Office, store: FakeStore) -> None:
    reply = office.give({"prediction_id": new_id(), "code": RIGHT})

    assert (reply.status_code, reply.json()["type"]) == (404, "urn:product-classifier:problem:unknown-prediction")
    assert corrections(store) == []


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (product(code=12345), 422, "12345"),
        ({"product": {"designation": "x"}}, 422, "code"),
        ({"code": RIGHT}, 422, "prediction_id"),
        ({"code": RIGHT, "prediction_id": "nope"}, 422, "nope"),
        ({"code": RIGHT, "prediction_id": "../../etc/passwd"}, 422, "id of ours"),
        ({"code": RIGHT, "product": {}}, 422, "designation"),
        ({"code": RIGHT, "product": {"designation": ""}}, 422, "designation"),
        ({"code": RIGHT, "product": {"designation": "x", "price": 3}}, 422, "price"),
        ({"code": RIGHT, "product": {"designation": 3}}, 422, "designation"),
        ({"code": RIGHT, "product": {"image": "AAAA"}}, 422, "JPEG"),
        ({"code": RIGHT, "product": {"image": "?"}}, 422, "base64"),
        ({"code": RIGHT, "product": {"image": "é"}}, 422, "base64"),
        (product(comment="x" * 2001), 422, "comment"),
        (product(comment="\ud800"), 422, "surrogate"),
        ([], 422, "body"),
        ({**product(), "prediction_id": "01907000-0000-7000-8000-000000000000"}, 422, "one of the two"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(
    office: Office, store: FakeStore, body: object, status: int, word: str
) -> None:
    headers = office.as_("ann") | {"Content-Type": "application/json"}
    reply = office.client.post("/feedback", content=json.dumps(body), headers=headers)

    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
    assert word in reply.json()["detail"]
    assert list(store.list()) == []


@pytest.mark.parametrize("content", [b"{", b"\xff", b"", b"nul", b'{"code":1,}'])
def test_a_body_that_is_not_json_is_refused(office: Office, content: bytes) -> None:
    headers = office.as_("ann") | {"Content-Type": "application/json"}
    reply = office.client.post("/feedback", content=content, headers=headers)

    assert reply.status_code in {400, 422}
    assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\tb"])
def test_a_key_that_is_no_plain_word_is_refused(office: Office, key: str) -> None:
    headers = office.as_("ann") | {"Idempotency-Key": key.encode("latin-1")}  # type: ignore[dict-item]

    assert office.client.post("/feedback", json=product(), headers=headers).status_code == 422


def test_a_body_over_the_limit_is_413_however_it_is_sent(office: Office) -> None:
    def chunks() -> object:
        for _ in range(9):
            yield b" " * 1_000_000

    headers = office.as_("ann") | {"Content-Type": "application/json"}
    whole = office.client.post("/feedback", content=b" " * 9_000_000, headers=headers)
    chunked = office.client.post("/feedback", content=chunks(), headers=headers)  # type: ignore[arg-type]

    assert (whole.status_code, chunked.status_code) == (413, 413)


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
def test_only_the_gateway_may_ask_and_it_says_for_whom(office: Office, headers: dict[str, str], status: int) -> None:
    assert office.client.post("/feedback", json=product(), headers=headers).status_code == status


ROUTES = {
    ("POST", "/feedback"): "user",
    ("GET", "/feedback"): "reviewer",
    ("POST", "/feedback/{id}/approve"): "reviewer",
    ("POST", "/feedback/{id}/reject"): "reviewer",
    ("POST", "/retrain"): "admin",
    ("GET", "/retrain"): "admin",
    ("GET", "/retrain/x"): "admin",
}


@pytest.mark.parametrize("role", ["user", "reviewer", "admin"])
@pytest.mark.parametrize("route", ROUTES)
def test_every_route_asks_for_its_role(office: Office, route: tuple[str, str], role: str) -> None:
    method, path = route
    ranks = ["user", "reviewer", "admin"]
    reply = office.client.request(method, path, json=product(), headers=office.as_("someone", role))

    assert (reply.status_code == 403) == (ranks.index(role) < ranks.index(ROUTES[route]))


def test_reviews_change_the_state_and_the_first_decision_stands(office: Office) -> None:
    given = office.give(product()).json()["feedback_id"]
    statuses = [
        office.review(given).status_code,
        office.review(given, user="rolf").status_code,
        office.review(given, "reject").status_code,
    ]
    (item,) = office.list().json()["items"]

    assert statuses == [200, 200, 409]
    assert (item["state"], item["counts"], item["reviewer"]) == ("approved", True, "rita")


@pytest.mark.parametrize("identifier", ["nope", "01907000-0000-7000-8000-000000000000", "..%2f..%2fx"])
def test_a_review_of_an_unknown_correction_is_404(office: Office, identifier: str) -> None:
    assert office.review(identifier).status_code == 404


def test_a_review_survives_in_a_new_process(store: FakeStore) -> None:
    with Office(store, None) as office:
        given = office.give(product()).json()["feedback_id"]
    with Office(store, None) as office:
        assert office.review(given, "reject").status_code == 200
    with Office(store, None) as office:
        assert [item["state"] for item in office.list().json()["items"]] == ["rejected"]


def test_the_list_has_filters_and_pages_newest_first(office: Office) -> None:
    given = []
    for number in range(7):
        office.now.time += timedelta(minutes=1)
        given.append(office.give(product(f"produit {number}")).json()["feedback_id"])
    office.review(given[2])
    office.review(given[4], "reject")
    seen, cursor = [], None
    while True:
        page = office.list(limit=3, **({"cursor": cursor} if cursor else {})).json()
        seen += [item["feedback_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == given[::-1]
    assert [item["feedback_id"] for item in office.list(state="rejected").json()["items"]] == [given[4]]
    assert office.list(state="pending").json()["total"] == 5


@pytest.mark.parametrize("query", [{"state": "odd"}, {"limit": 0}, {"limit": 201}, {"cursor": "nope"}])
def test_a_list_that_cannot_be_is_422(office: Office, query: dict[str, object]) -> None:
    assert office.list(**query).status_code == 422


def test_a_run_asked_for_is_claimed_once_and_shown(office: Office) -> None:
    office.give(product(), role="reviewer")
    admin = office.as_("adam", "admin")
    first = office.client.post("/retrain", headers=admin)
    second = office.client.post("/retrain", headers=office.as_("eve", "admin"))
    run_id = first.json()["run_id"]
    shown = office.client.get(first.json()["status_url"], headers=admin).json()
    listed = office.client.get("/retrain", headers=admin).json()

    assert (first.status_code, first.headers["location"]) == (202, f"/retrain/{run_id}")
    assert (second.status_code, second.json()["run_id"]) == (409, run_id)
    assert (shown["cause"], shown["requested_by"], shown["state"], shown["corrections"]) == (
        "manual", "adam", "waiting", 1,
    )  # fmt: skip
    assert (listed["runs"], listed["progress"]) == ([shown], {"corrections": 1, "needed": 2})


def test_an_unknown_run_is_404(office: Office) -> None:
    assert office.client.get("/retrain/x", headers=office.as_("adam", "admin")).status_code == 404


def test_damaged_objects_do_not_stop_the_list(office: Office, store: FakeStore) -> None:
    given = office.give(product()).json()["feedback_id"]
    store.objects["feedback/dt=2030-05-05/garbage.json"] = b"\x00"
    store.objects["feedback/readme.txt"] = b"hello"

    assert [item["feedback_id"] for item in office.list().json()["items"]] == [given]


def test_answers_carry_the_request_id_and_are_counted(office: Office) -> None:
    headers = office.as_("ann", **{"X-Request-Id": "r-17"})
    reply = office.client.post("/feedback", json=product(), headers=headers)

    assert reply.headers["x-request-id"] == "r-17"
    assert 'feedback_acknowledged_total{where="store"} 1.0' in office.client.get("/metrics").text
