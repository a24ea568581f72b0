"""`/taxonomy/changes` of the feedback service: listed, tried, applied and refused, on two servers."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.feedback_service.taxonomy_changes import read_change_file
from inference.http.problems import Problem
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.limits import LISTED_BYTES, TAXONOMY_CHANGE_BYTES, TAXONOMY_CHANGE_VALUES
from product_classifier.stored_taxonomy.change_store import (
    CHANGES_PREFIX,
    IN_SERVICE_KEY,
    change_key,
    read_state,
    write_products,
)
from product_classifier.taxonomy import Category, Taxonomy
from product_classifier.taxonomy.change_file import ChangeFile
from product_classifier.taxonomy.folder import to_bytes
from tests.product_classifier.stored_taxonomy.test_change_store import ADD_TEA, BASE, MERGE, PRODUCTS
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import FeedbackHarness

PATH = "/taxonomy/changes"


@pytest.fixture
def store() -> FakeStore:
    found = FakeStore()
    found.put(IN_SERVICE_KEY, to_bytes(BASE))
    write_products(found, PRODUCTS)
    return found


@pytest.fixture
def harness(store: FakeStore) -> Iterator[FeedbackHarness]:
    with FeedbackHarness(store, None) as harness:
        yield harness


def file(*rows: dict[str, Any], version: int = 1) -> dict[str, Any]:
    return {"from": version, "to": version + 1, "changes": list(rows)}


def post(harness: FeedbackHarness, body: Any, role: str = "admin", **query: Any) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return harness.client.post(PATH, content=content, params=query, headers=harness.headers("ada", role))


def listed(harness: FeedbackHarness, role: str = "reviewer", **query: Any) -> Any:
    return harness.client.get(PATH, params=query, headers=harness.headers("rita", role))


def correct(harness: FeedbackHarness, title: str, code: str) -> Any:
    return harness.submit({"product": {"designation": title}, "code": code}, role="reviewer")


def test_a_change_is_tried_applied_and_listed_with_what_it_does(harness: FeedbackHarness, store: FakeStore) -> None:
    correct(harness, "Vert", "green")
    body = file(ADD_TEA, MERGE, {"do": "retire", "code": "toys"})
    nothing = {"kept": 0, "mapped": 0, "undecided": 0, "uncategorized": 0}

    tried = post(harness, body, dry_run=True)
    stored_by_dry_run = list(store.list(CHANGES_PREFIX))
    first, second = post(harness, body), post(harness, body)
    (item,) = listed(harness).json()["items"]

    assert stored_by_dry_run == []
    assert [one.status_code for one in (tried, first, second)] == [200, 201, 200]
    assert [one.json()["applied"] for one in (tried, first, second)] == [False, True, True]
    assert first.json() == second.json() == item == tried.json() | {"applied": True}
    assert {name: item[name] for name in ("from", "to", "changes")} == body
    assert item["actor"] == "ada"
    assert item["products"] == nothing | {"mapped": 7, "uncategorized": 9}
    assert item["corrections"] == nothing | {"mapped": 1}
    assert item["effects"] == [
        {"do": "merge", "code": "green", "outcome": "mapped", "to": "tea", "products": 3, "corrections": 1},
        {"do": "merge", "code": "black", "outcome": "mapped", "to": "tea", "products": 4, "corrections": 0},
        {"do": "retire", "code": "toys", "outcome": "uncategorized", "to": None, "products": 9, "corrections": 0},
    ]


def test_a_correction_may_name_a_new_category_as_soon_as_the_change_is_applied(harness: FeedbackHarness) -> None:
    assert correct(harness, "Blanc", "tea").status_code == 422
    assert post(harness, file(ADD_TEA), dry_run=True).status_code == 200
    assert correct(harness, "Blanc", "tea").status_code == 422
    assert post(harness, file(ADD_TEA)).status_code == 201

    response = correct(harness, "Blanc", "tea")

    assert (response.status_code, response.json()["label"]) == (201, "Tea")
    assert post(harness, file(MERGE | {"into": "tea"}, version=2)).status_code == 201
    assert correct(harness, "Vert", "green").json()["given"] == "green"


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"{", 400, "the body is not valid JSON: EOF while parsing an object"),
        (b"[" * 40 + b"]" * 40, 400, "nested more than 32 levels deep"),
        ({}, 422, "from: is missing; give it; to: is missing; give it; changes: is missing; give it"),
        (file(), 422, "changes: has 0 entries; at least 1 are required"),
        (file(ADD_TEA) | {"to": 3}, 422, "to is 3, not 2; write one file per version"),
        (file(ADD_TEA) | {"from": "1"}, 422, "from: must be an integer, not '1'"),
        (file(ADD_TEA, {"do": "drop", "code": "x"}), 422, "changes.1: "),
        (file(ADD_TEA | {"name": "Tea"}), 422, "changes.0.add.name: is not a known field; leave it out"),
        (file(ADD_TEA | {"code": " "}), 422, "changes.0.add.code: ' ' is empty; give each category a code"),
        (file(ADD_TEA | {"code": "a\u0000"}), 422, "changes.0.add.code: 'a\\x00' has a control character; remove it"),
        (file(ADD_TEA | {"labels": {"en": "x" * 1001}}), 422, "has 1001 characters; 1000 are accepted"),
        (file({"do": "retire", "code": "blakc"}), 422, "change 1 (retire): category code 'blakc' is not one of the 4"),
        (file({"do": "retire", "code": "blakc"}), 422, "the nearest are 'black'"),
        (file({"do": "retire", "code": "food"}), 422, "category 'green': its parent 'food' is removed"),
        (file(MERGE), 422, "change 1 (merge): 'tea' is not there in version 2"),
        (file({"do": "move", "code": "food", "parent": "green"}), 422, "is below itself; correct its parent"),
        (file(ADD_TEA, version=7), 409, "from: 7 is not the newest version 1; write the change for that one"),
    ],
)
def test_a_refused_file_is_one_problem_that_names_value_and_place(
    harness: FeedbackHarness, store: FakeStore, body: Any, status: int, detail: str
) -> None:
    for options in ({}, {"dry_run": True}):
        response = post(harness, body, **options)

        assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
        assert detail in response.json()["detail"]
    assert list(store.list(CHANGES_PREFIX)) == []


def test_sizes_are_bounded(harness: FeedbackHarness) -> None:
    assert post(harness, b" " * (TAXONOMY_CHANGE_BYTES + 1)).status_code == 413
    too_many = b"[" + b"0," * TAXONOMY_CHANGE_VALUES + b"0]"
    assert f"more than {TAXONOMY_CHANGE_VALUES} values" in post(harness, too_many).json()["detail"]
    many = file(*({"do": "add", "code": f"n{number}"} for number in range(2_000)))  # more values than other bodies
    assert post(harness, many).status_code == 201


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5))
def test_any_other_json_is_a_problem(value: Any) -> None:
    with pytest.raises(Problem, match=r"body|must be|missing"):
        read_change_file(json.dumps(value).encode())


@pytest.mark.parametrize("role", ["user", "reviewer"])
def test_only_administrators_change_and_only_reviewers_list(harness: FeedbackHarness, role: str) -> None:
    assert post(harness, file(ADD_TEA), role=role, dry_run=True).status_code == 403
    assert listed(harness, role=role).status_code == {"user": 403, "reviewer": 200}[role]


@pytest.mark.parametrize("query", [{"dryrun": "true"}, {"dry_run": "perhaps"}])
def test_a_misspelled_dry_run_is_refused(harness: FeedbackHarness, store: FakeStore, query: dict[str, str]) -> None:
    assert post(harness, file(ADD_TEA), **query).status_code == 422
    assert list(store.list(CHANGES_PREFIX)) == []


def test_pages_are_newest_first_and_small(harness: FeedbackHarness) -> None:
    large = {"do": "add", "code": "large", "synonyms": ["x" * 1_000] * (LISTED_BYTES // 1_000)}
    rows = [{"do": "add", "code": f"n{number}"} for number in range(5)]
    for version, row in enumerate([*rows, large], 1):
        assert post(harness, file(row, version=version)).status_code == 201

    pages, cursor = [], {}
    while True:
        page = listed(harness, limit=2, **cursor).json()
        pages.append([one["to"] for one in page["items"]])
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert pages == [[7], [6, 5], [4, 3], [2]]
    assert listed(harness, cursor="1").json() == {"items": [], "next_cursor": None}
    assert listed(harness, cursor="x").status_code == 422


@pytest.mark.parametrize("code_type", ["integer", "string"])
def test_codes_are_numbers_only_where_the_catalogue_says_so(store: FakeStore, code_type: str) -> None:
    integers = Taxonomy((Category("10"), Category("20")), code_type="integer" if code_type == "integer" else "string")
    store.put(IN_SERVICE_KEY, to_bytes(integers))
    with FeedbackHarness(store, None) as harness:
        rows = [{"do": "add", "code": 30}, {"do": "merge", "codes": ["10", 20], "into": "30"}]
        applied = post(harness, file(*rows)).json()
        found = listed(harness).json()["items"]

    shown = int if code_type == "integer" else str
    assert found == [applied]
    assert applied["changes"] == [
        {"do": "add", "code": shown(30)},
        {"do": "merge", "codes": [shown(10), shown(20)], "into": shown(30)},
    ]
    assert [(one["code"], one["to"]) for one in applied["effects"]] == [(shown(10), shown(30)), (shown(20), shown(30))]


def test_an_outage_is_a_503_and_nothing_is_stored_until_the_store_responds(
    harness: FeedbackHarness, store: FakeStore
) -> None:
    store.away = True
    responses = [post(harness, file(ADD_TEA)), post(harness, file(ADD_TEA), dry_run=True), listed(harness)]
    store.away = False

    assert [(one.status_code, one.headers["retry-after"]) for one in responses] == [(503, "5")] * 3
    assert list(store.list(CHANGES_PREFIX)) == []
    assert post(harness, file(ADD_TEA)).status_code == 201


def test_a_damaged_object_is_a_503_that_names_it(harness: FeedbackHarness, store: FakeStore) -> None:
    store.put(change_key(2), b"{}")

    responses = [listed(harness), post(harness, file(ADD_TEA))]

    assert [one.status_code for one in responses] == [503, 503]
    assert all(change_key(2) in one.json()["detail"] for one in responses)


def test_a_change_is_refused_while_corrections_cannot_be_counted(store: FakeStore) -> None:
    class Unread(FeedbackIndex):
        is_complete = False  # type: ignore[assignment]

    with FeedbackHarness(store, None, index=Unread(store)) as harness:
        response = post(harness, file(ADD_TEA))

    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert list(store.list(CHANGES_PREFIX)) == []


@pytest.mark.parametrize("same", [True, False], ids=["the same file", "two files"])
def test_of_two_servers_one_applies_a_step(store: FakeStore, same: bool) -> None:
    versions = range(1, 11)
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        replicas = [stack.enter_context(FeedbackHarness(store, None)) for _ in range(2)]
        barrier = Barrier(2)

        def step(number: int, version: int) -> int:
            code = f"v{version}" if same else f"v{version} of {number}"
            barrier.wait()
            return int(post(replicas[number], file({"do": "add", "code": code}, version=version)).status_code)

        outcomes = [sorted(pool.map(step, (0, 1), (version,) * 2)) for version in versions]
        pages = [listed(replica).json()["items"] for replica in replicas]

    assert outcomes == [[200, 201] if same else [201, 409] for _ in versions]
    assert pages[0] == pages[1]
    assert [one["to"] for one in pages[0]] == [version + 1 for version in reversed(versions)]
    state = read_state(store)
    assert len(state.newest.categories) == len(BASE.categories) + len(versions)
    assert all(isinstance(one.change, ChangeFile) for one in state.applied)
