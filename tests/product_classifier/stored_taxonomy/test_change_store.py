"""Tests of change files in the object store: applied once, in order, and read step by step."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.errors import ChangeConflict, ChangeRefused, StoreUnavailable, TaxonomyError, UnknownCategory
from product_classifier.stored_taxonomy import change_store
from product_classifier.stored_taxonomy.change_store import (
    IN_SERVICE_KEY,
    PRODUCTS_KEY,
    StoredTaxonomy,
    apply_change_file,
    change_key,
    read_state,
    write_products,
)
from product_classifier.taxonomy import Category, Taxonomy
from product_classifier.taxonomy.change_file import ChangeFile, parse_change_file
from product_classifier.taxonomy.folder import to_bytes
from product_classifier.taxonomy.version_history import Reading
from tests.support.fakes import FakeStore

NOW = datetime(2026, 11, 28, tzinfo=UTC)
BASE = Taxonomy(
    (
        Category("food"),
        Category("green", {"en": "Green tea"}, "food"),
        Category("black", {"en": "Black tea"}, "food"),
        Category("toys"),
    ),
    minimum_products=5,
)
MERGE = {"do": "merge", "codes": ["green", "black"], "into": "tea"}
ADD_TEA = {"do": "add", "code": "tea", "parent": "food", "labels": {"en": "Tea"}}
PRODUCTS = {"green": 3, "black": 4, "toys": 9}
CORRECTIONS = {"green": 2, "toys": 1}


def changes(*rows: dict[str, Any], version: int = 1) -> ChangeFile:
    document = {"from": version, "to": version + 1, "changes": list(rows)}
    return parse_change_file(json.dumps(document).encode(), "change.json")


@pytest.fixture
def store() -> FakeStore:
    found = FakeStore()
    found.put(IN_SERVICE_KEY, to_bytes(BASE))
    write_products(found, PRODUCTS)
    return found


def apply(store: FakeStore, file: ChangeFile, **options: Any) -> Any:
    return apply_change_file(store, file, actor="ada", now=NOW, **({"corrections": CORRECTIONS} | options))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([ADD_TEA], []),
        ([{"do": "rename", "code": "toys", "labels": {"en": "Games"}}], [("toys", "kept", None, 9, 1)]),
        ([{"do": "move", "code": "toys", "parent": "food"}], [("toys", "kept", None, 9, 1)]),
        ([ADD_TEA, MERGE], [("green", "mapped", "tea", 3, 2), ("black", "mapped", "tea", 4, 0)]),
        ([{"do": "merge", "codes": ["green", "toys"], "into": "toys"}], [("green", "mapped", "toys", 3, 2)]),
        (
            [ADD_TEA, {"do": "split", "code": "green", "into": ["tea", "black"]}],
            [("green", "undecided", "food", 3, 2)],
        ),
        ([{"do": "retire", "code": "toys", "to": "food"}], [("toys", "mapped", "food", 9, 1)]),
        ([{"do": "retire", "code": "toys"}], [("toys", "uncategorized", None, 9, 1)]),
    ],
    ids=["add", "rename", "move", "merge", "merge into one of them", "split", "retire to another", "retire"],
)
def test_a_dry_run_counts_products_and_corrections_and_stores_nothing(
    store: FakeStore, rows: list[dict[str, Any]], expected: list[tuple[Any, ...]]
) -> None:
    before = set(store.list())

    applied, is_new = apply(store, changes(*rows), dry_run=True)

    assert is_new
    assert [(one.code, one.outcome, one.to, one.products, one.corrections) for one in applied.effects] == expected
    assert set(store.list()) == before


def test_an_applied_change_is_one_object_and_is_read_by_others(store: FakeStore) -> None:
    applied, _ = apply(store, changes(ADD_TEA, MERGE))

    assert set(store.list()) == {IN_SERVICE_KEY, PRODUCTS_KEY, change_key(2)}
    state = read_state(store)
    assert state.applied == (applied,)
    assert (state.newest.version, state.in_service.version) == (2, 1)
    assert state.read("green", None) == Reading("tea")
    assert state.products_by_code() == {"tea": 7, "toys": 9}


def test_later_changes_start_from_the_first_base_whatever_is_in_service(store: FakeStore) -> None:
    apply(store, changes(ADD_TEA, MERGE))
    store.put(IN_SERVICE_KEY, to_bytes(read_state(store).newest))
    write_products(store, {"tea": 7})
    apply(store, changes({"do": "retire", "code": "toys"}, version=2))

    state = read_state(store)

    assert state.history.base == BASE
    assert state.read("black", 1) == Reading("tea")
    assert state.read("toys", 2) == Reading(None)
    store.put(IN_SERVICE_KEY, to_bytes(BASE))  # rolled back
    assert read_state(store).history.base == BASE
    assert read_state(store).read("tea", 2) == Reading("tea")


def test_a_file_that_was_applied_before_changes_nothing(store: FakeStore) -> None:
    first, _ = apply(store, changes(ADD_TEA))
    objects = {key: store.get(key) for key in store.list()}

    assert apply(store, changes(ADD_TEA), corrections={}) == (first, False)
    assert {key: store.get(key) for key in store.list()} == objects


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (changes(ADD_TEA | {"code": "x"}), "from: 1 is not the newest version 2"),
        (changes(ADD_TEA, version=3), "from: 3 is not the newest version 2"),
        (changes({"do": "merge", "codes": ["toys"], "into": "green"}, version=2), "'green' is retired in version 3"),
        (changes({"do": "move", "code": "toys", "parent": "nowhere"}, version=2), "'nowhere' is not there"),
        (changes({"do": "move", "code": "food", "parent": "tea"}, version=2), "is below itself"),
        (changes(ADD_TEA | {"code": "green"}, version=2), "'green' was given before"),
    ],
    ids=["another file of a version", "gap", "merge into a retired one", "unknown parent", "cycle", "code given twice"],
)
def test_an_invalid_file_is_refused_and_nothing_is_stored(store: FakeStore, file: ChangeFile, message: str) -> None:
    apply(store, changes(ADD_TEA, MERGE))
    before = set(store.list())

    with pytest.raises(ChangeRefused, match=message) as raised:
        apply(store, file)

    assert isinstance(raised.value, ChangeConflict) is message.startswith("from")
    assert set(store.list()) == before


class RacingStore(FakeStore):
    """A store in which another server stores a change file right before the first one of this server."""

    def __init__(self, other: ChangeFile) -> None:
        super().__init__()
        self.objects[IN_SERVICE_KEY] = to_bytes(BASE)
        self._other: ChangeFile | None = other

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        if only_if_absent and (other := self._other) is not None:
            self._other = None
            apply(self, other)
        super().put(key, data, only_if_absent=only_if_absent)


def test_of_two_files_applied_at_once_one_is_refused() -> None:
    store = RacingStore(changes(ADD_TEA | {"code": "winner"}))

    with pytest.raises(ChangeConflict, match="another change of version 1 was applied meanwhile"):
        apply(store, changes({"do": "add", "code": "tea"}))

    assert "winner" in read_state(store).newest


def test_one_file_applied_twice_at_once_is_applied_once() -> None:
    store = RacingStore(changes({"do": "add", "code": "tea"}))

    applied, is_new = apply(store, changes({"do": "add", "code": "tea"}))

    assert not is_new
    assert read_state(store).applied == (applied,)


def test_a_step_that_failed_is_applied_to_what_is_in_service_later(store: FakeStore) -> None:
    other = Taxonomy((*BASE.categories, Category("books")), minimum_products=5)

    class FullStore(FakeStore):
        def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
            raise StoreUnavailable("the disk is full")

    full = FullStore()
    full.objects = store.objects
    with pytest.raises(StoreUnavailable):
        apply(full, changes(ADD_TEA))
    store.put(IN_SERVICE_KEY, to_bytes(other))  # another release is deployed before the next attempt

    assert apply(store, changes(ADD_TEA))[1]
    assert read_state(store).history.base == other


@pytest.mark.parametrize(
    ("lost", "message"),
    [(2, "0000000003.json: is not the first change file"), (3, "from: 3 is not the newest version 2")],
)
def test_a_lost_object_is_one_error_that_names_its_place(store: FakeStore, lost: int, message: str) -> None:
    for version in (1, 2, 3):
        apply(store, changes({"do": "add", "code": f"new {version}"}, version=version))
    store.delete(change_key(lost))

    with pytest.raises(TaxonomyError, match=message):
        read_state(store)


def test_a_code_is_read_in_the_newest_version_that_has_it(store: FakeStore) -> None:
    apply(store, changes(ADD_TEA, MERGE))
    state = read_state(store)

    assert [state.locate(code) for code in ("tea", "toys", "green")] == [2, 2, 1]
    with pytest.raises(UnknownCategory, match="'gren' is not one of the 3 known codes"):
        state.locate("gren")
    assert state.label("green") == "Green tea"


def test_records_of_the_first_version_name_none(store: FakeStore) -> None:
    apply(
        store, changes({"do": "split", "code": "toys", "into": ["toys", "puzzles"]}, {"do": "add", "code": "puzzles"})
    )
    state = read_state(store)

    assert state.version_to_store(state.locate("toys")) == 2
    assert state.read("toys", None) == Reading(None, decided=False)
    assert state.read("toys", 2) == Reading("toys")
    assert state.read("toys", 99) == Reading("toys")


def test_the_last_state_is_used_while_the_store_is_unavailable(store: FakeStore) -> None:
    now = [0.0]
    stored = StoredTaxonomy(store, lambda: now[0])
    assert stored.current().newest.version == 1
    apply(store, changes(ADD_TEA))
    assert stored.current().newest.version == 1
    now[0] += change_store.MAX_AGE_S
    assert stored.current().newest.version == 2

    store.away = True
    now[0] += change_store.MAX_AGE_S

    assert stored.current().newest.version == 2
    with pytest.raises(StoreUnavailable):
        stored.refresh()


@given(st.lists(st.sampled_from(["merge", "retire", "split", "add"]), max_size=6))
def test_products_are_neither_lost_nor_doubled_by_any_sequence_of_changes(kinds: list[str]) -> None:
    store = FakeStore()
    base = Taxonomy((Category("root"), *(Category(f"n{number}", parent="root") for number in range(4))))
    store.put(IN_SERVICE_KEY, to_bytes(base))
    write_products(store, {f"n{number}": 10**number for number in range(4)})
    for version, kind in enumerate(kinds, 1):
        leaves = read_state(store).newest.children("root")
        new = [{"do": "add", "code": f"v{version}.{part}", "parent": "root"} for part in "ab"]
        parts = [one["code"] for one in new]
        rows = {
            "add": [],
            "merge": [{"do": "merge", "codes": list(leaves[:2]), "into": parts[0]}],
            "retire": [{"do": "retire", "code": leaves[0], "to": parts[0]}],
            "split": [{"do": "split", "code": leaves[0], "into": parts}],
        }[kind]
        apply(store, changes(*new, *rows, version=version))

        state = read_state(store)
        assert sum(state.products_by_code().values()) == 1111
        assert set(state.products_by_code()) <= {category.code for category in state.newest}
