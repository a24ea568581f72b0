"""`GET /categories`: the taxonomy in service as a document, searched, and sent once."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.types import Message

from inference.auth_proxy.conditional_document import ConditionalDocument
from inference.auth_proxy.predictions import category_list
from inference.auth_proxy.predictions.category_list import CategoryList
from inference.auth_proxy.predictions.served_taxonomies import ServedTaxonomies
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.stored_taxonomy.change_store import IN_SERVICE_KEY, StoredTaxonomy, write_products
from product_classifier.taxonomy import Category, Taxonomy
from product_classifier.taxonomy.folder import to_bytes
from tests.inference.auth_proxy.conftest import Gateway, start
from tests.inference.auth_proxy.test_served_taxonomies import Fusion
from tests.support.fakes import FakeStore

TREE = Taxonomy(
    (
        Category("1", {"fr": "Boissons", "en": "Drinks"}),
        Category("11", {"fr": "Thé glacé", "en": "Iced tea"}, "1", ("ice tea",)),
        Category("12", {"fr": "Café", "en": "Coffee"}, "1"),
        Category("2", {"en": "Games"}),
    ),
    version=3,
    code_type="integer",
)


def sent(document: ConditionalDocument, *, if_none_match: str = "") -> tuple[int, dict[str, str], Any]:
    """Return status, headers and content of a response."""
    headers = [(b"if-none-match", if_none_match.encode())] if if_none_match else []
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    asyncio.run(document.respond({"type": "http", "headers": headers}, send))
    found = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
    return messages[0]["status"], found, orjson.loads(messages[1]["body"] or b"null")


def listed(taxonomy: Taxonomy, query: str = "", products: Mapping[str, int] | None = None) -> Any:
    store = FakeStore()
    store.put(IN_SERVICE_KEY, to_bytes(taxonomy))
    if products is not None:
        write_products(store, products)
    categories = CategoryList(ServedTaxonomies(Fusion(taxonomy)), StoredTaxonomy(store))
    return sent(asyncio.run(categories.find(query)))[2]


def test_a_category_has_its_place_in_the_tree_and_its_products() -> None:
    found = listed(TREE, products={"11": 7, "2": 5})

    assert found["version"] == 3
    assert [tuple(one[name] for name in ("code", "parent", "path", "products")) for one in found["categories"]] == [
        (1, None, ["Boissons"], 0),
        (11, 1, ["Boissons", "Thé glacé"], 7),
        (12, 1, ["Boissons", "Café"], 0),
        (2, None, ["Games"], 5),
    ]
    assert [one["answerable"] for one in found["categories"]] == [False, True, True, True]
    assert found["categories"][1]["labels"] == {"fr": "Thé glacé", "en": "Iced tea"}
    assert [one["label_fr"] for one in found["categories"]] == ["Boissons", "Thé glacé", "Café", "Games"]


def test_codes_are_texts_where_the_catalogue_has_texts() -> None:
    found = listed(replace(TREE, code_type="string"))["categories"]

    assert [(one["code"], one["parent"]) for one in found] == [("1", None), ("11", "1"), ("12", "1"), ("2", None)]


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("", [1, 11, 12, 2]),
        ("  ", [1, 11, 12, 2]),
        ("the", [11]),
        ("GLACE", [11]),
        ("ice TEA", [11]),
        ("café", [12]),
        ("12", [12]),
        ("1", [1, 11, 12]),
        ("coffee games", []),
    ],
)
def test_a_search_ignores_case_and_accents_and_finds_codes_labels_and_synonyms(query: str, codes: list[int]) -> None:
    assert [one["code"] for one in listed(TREE, query)["categories"]] == codes


def test_a_search_returns_all_matches() -> None:
    many = Taxonomy(tuple(Category(f"c{number}") for number in range(300)))

    assert len(listed(many, "c")["categories"]) == 300


def test_products_are_null_where_they_are_not_known() -> None:
    assert {one["products"] for one in listed(TREE)["categories"]} == {None}
    store = FakeStore()
    store.put(IN_SERVICE_KEY, to_bytes(CHALLENGE))  # another release is being deployed
    write_products(store, {"2": 5})
    categories = CategoryList(ServedTaxonomies(Fusion(TREE)), StoredTaxonomy(store))
    assert {one["products"] for one in sent(asyncio.run(categories.find()))[2]["categories"]} == {None}


async def test_a_slow_store_costs_the_numbers_not_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(category_list, "WAIT_S", 0.05)
    go_on = threading.Event()
    reads = []

    class SlowStore(FakeStore):
        def get(self, key: str) -> bytes:
            reads.append(key)
            go_on.wait(10)
            return super().get(key)

    store = SlowStore()
    store.objects = {IN_SERVICE_KEY: to_bytes(TREE)}
    write_products(store, {"2": 5})
    categories = CategoryList(ServedTaxonomies(Fusion(TREE)), StoredTaxonomy(store))

    found = [orjson.loads((await categories.find()).content) for _ in range(3)]
    assert {one["products"] for document in found for one in document["categories"]} == {None}
    assert len(reads) == 1  # one read at a time
    go_on.set()
    for _ in range(500):
        known = orjson.loads((await categories.find()).content)["categories"]
        if known[3]["products"] is not None:
            break
    assert [one["products"] for one in known] == [0, 0, 0, 5]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    store = FakeStore()
    store.put(IN_SERVICE_KEY, to_bytes(TREE))
    write_products(store, {"11": 7})
    for gateway in start(tmp_path, store=store):
        gateway.models.taxonomy = TREE
        yield gateway


def test_an_unchanged_list_is_sent_once(gateway: Gateway) -> None:
    with gateway.client() as client:
        first = client.get("/categories")
        etag = first.headers["etag"]
        again = {
            value: client.get("/categories", headers={"If-None-Match": value}).status_code
            for value in (etag, f"W/{etag}", f'"other", {etag}', "*", '"other"', etag.strip('"'), "")
        }
        not_modified = client.get("/categories", headers={"If-None-Match": etag})
        search = client.get("/categories", params={"q": "the"}, headers={"If-None-Match": etag})
        head = client.head("/categories")

    assert first.headers["cache-control"] == "private, no-cache"
    assert [again[value] for value in again] == [304, 304, 304, 304, 200, 200, 200]
    assert (not_modified.content, not_modified.headers["etag"]) == (b"", etag)
    assert [one["code"] for one in search.json()["categories"]] == [11]
    assert (head.content, head.headers["etag"]) == (b"", etag)


def test_the_tag_changes_with_the_numbers_of_products(gateway: Gateway) -> None:
    with gateway.client() as client:
        first = client.get("/categories")
        write_products(gateway.store, {"11": 8})
        for _ in range(500):
            second = client.get("/categories", headers={"If-None-Match": first.headers["etag"]})
            if second.status_code == 200:
                break
            threading.Event().wait(0.02)

    assert second.json()["categories"][1]["products"] == 8


@pytest.mark.parametrize(
    ("query", "status"), [("q=" + "x" * 201, 422), ("q=a&q=b", 400), ("q=%FF", 200), ("page=2", 200)]
)
def test_a_search_that_has_no_single_meaning_is_a_problem(gateway: Gateway, query: str, status: int) -> None:
    with gateway.client() as client:
        assert client.get(f"/categories?{query}").status_code == status
