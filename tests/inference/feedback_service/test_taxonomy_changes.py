"""Corrections over HTTP while the taxonomy changes: read through the changes, never rewritten."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from product_classifier.feedback.index import FeedbackIndex
from product_classifier.store.object_keys import FEEDBACK_PREFIX
from product_classifier.stored_taxonomy.change_store import IN_SERVICE_KEY, apply_change_file
from product_classifier.taxonomy.change_file import parse_change_file
from product_classifier.taxonomy.folder import to_bytes
from product_classifier.taxonomy.version_history import Reading
from tests.product_classifier.stored_taxonomy.test_change_store import ADD_TEA, BASE, MERGE, NOW
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import FeedbackHarness


@pytest.fixture
def index() -> FeedbackIndex:
    store = FakeStore()
    store.put(IN_SERVICE_KEY, to_bytes(BASE))
    return FeedbackIndex(store)


@pytest.fixture
def harness(index: FeedbackIndex) -> Iterator[FeedbackHarness]:
    with FeedbackHarness(index.taxonomy.store, None, index=index) as harness:
        yield harness


def change(index: FeedbackIndex, *rows: dict[str, Any], version: int = 1) -> None:
    file = json.dumps({"from": version, "to": version + 1, "changes": list(rows)}).encode()
    parsed = parse_change_file(file, "change.json")
    apply_change_file(index.taxonomy.store, parsed, actor="ada", now=NOW, corrections={})
    index.taxonomy.refresh()
    index.refresh()


def correct(harness: FeedbackHarness, title: str, code: str, user: str = "ann", role: str = "user") -> Any:
    return harness.submit({"product": {"designation": title}, "code": code}, user, role)


def listed(harness: FeedbackHarness) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Return state, code, given code, and whether it is decided and counts, by title and user."""
    return {
        (one["product"]["designation"], one["user"]): (
            one["state"], one["code"], one.get("given"), one.get("decided", True), one["counts"]
        )
        for one in harness.list().json()["items"]
    }  # fmt: skip


def test_a_correction_names_a_category_that_no_release_knows_yet(
    harness: FeedbackHarness, index: FeedbackIndex
) -> None:
    assert correct(harness, "Blanc", "tea").status_code == 422
    change(index, ADD_TEA)

    response = correct(harness, "Blanc", "tea", role="reviewer")

    assert (response.status_code, response.json()["code"], response.json()["label"]) == (201, "tea", "Tea")
    (label,) = index.labels()
    assert (label.code, label.taxonomy_version) == ("tea", 2)


def test_any_other_code_is_refused_with_the_nearest_ones(harness: FeedbackHarness, index: FeedbackIndex) -> None:
    change(index, ADD_TEA)

    response = correct(harness, "Blanc", "blakc")

    assert response.status_code == 422
    assert "the nearest are 'black'" in response.json()["detail"]


def test_a_retired_code_is_accepted_and_answered_as_mapped(harness: FeedbackHarness, index: FeedbackIndex) -> None:
    change(index, ADD_TEA, MERGE, {"do": "retire", "code": "toys"})

    merged, retired = correct(harness, "Vert", "green"), correct(harness, "Jeu", "toys", role="reviewer")

    assert [one.json().get("given") for one in (merged, retired)] == ["green", "toys"]
    assert [one.json().get("decided", True) for one in (merged, retired)] == [True, False]
    assert [one.json()["code"] for one in (merged, retired)] == ["tea", "toys"]
    assert listed(harness)["Jeu", "ann"] == ("trusted", "toys", "toys", False, False)
    assert index.labels() == ()


def test_two_corrections_agree_once_a_merge_makes_their_categories_one(
    harness: FeedbackHarness, index: FeedbackIndex
) -> None:
    correct(harness, "Vert", "green", "ann")
    correct(harness, "Vert", "black", "bob")
    correct(harness, "Noir", "black", "bob")
    stored = {key: index.taxonomy.store.get(key) for key in index.taxonomy.store.list(FEEDBACK_PREFIX)}
    assert {row[0] for row in listed(harness).values()} == {"pending"}

    change(index, ADD_TEA, MERGE)

    assert listed(harness) == {
        ("Vert", "ann"): ("agreed", "tea", "green", True, True),
        ("Vert", "bob"): ("agreed", "tea", "black", True, True),
        ("Noir", "bob"): ("pending", "tea", "black", True, False),
    }
    assert {key: index.taxonomy.store.get(key) for key in stored} == stored


def test_after_a_split_a_correction_counts_at_the_parent_until_it_is_decided_anew(
    harness: FeedbackHarness, index: FeedbackIndex
) -> None:
    correct(harness, "Vert", "green", role="reviewer")
    parts = [{"do": "add", "code": code, "parent": "food"} for code in ("sencha", "matcha")]

    change(index, *parts, {"do": "split", "code": "green", "into": ["sencha", "matcha"]})

    assert listed(harness)["Vert", "ann"] == ("trusted", "food", "green", False, True)
    correct(harness, "Vert", "matcha", role="reviewer")
    assert [label.code for label in index.labels()] == ["matcha"]


def test_a_correction_keeps_the_version_that_it_was_given_in(harness: FeedbackHarness, index: FeedbackIndex) -> None:
    correct(harness, "Jeu", "toys")
    split = {"do": "split", "code": "toys", "into": ["toys", "puzzles"]}
    change(index, {"do": "add", "code": "puzzles"}, split)
    correct(harness, "Puzzle", "toys")

    assert [
        (one.taxonomy_version, one.reading) for one in sorted(index.corrections(), key=lambda one: one.created)
    ] == [
        (None, Reading(None, decided=False)),
        (2, Reading("toys")),
    ]
    (first, second) = index.taxonomy.store.list(FEEDBACK_PREFIX)
    documents = [json.loads(index.taxonomy.store.get(key)) for key in (first, second)]
    assert sorted(one.get("taxonomy_version", 1) for one in documents) == [1, 2]


def test_labels_that_a_run_has_used_stay_used_after_a_merge(harness: FeedbackHarness, index: FeedbackIndex) -> None:
    correct(harness, "Vert", "green", role="reviewer")
    (label,) = index.labels()
    index.set_watermark("snapshot", [(label.product_key, "green")])
    assert index.new_label_count() == 0

    change(index, ADD_TEA, MERGE)

    assert index.watermark == "?"  # it is read again, see `LabelProgress.update`
    index.set_watermark("snapshot", [(label.product_key, index.taxonomy.read("green", None).code or "")])
    assert index.new_label_count() == 0
