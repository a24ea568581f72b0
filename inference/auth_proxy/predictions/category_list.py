"""The categories of the release in service as a document of the API."""

import asyncio
from collections.abc import Iterable, Mapping

from pydantic_core import to_json

from inference.auth_proxy.conditional_document import ConditionalDocument
from inference.auth_proxy.predictions.served_taxonomies import ServedTaxonomies
from inference.auth_proxy.schemas import CategoryListView, CategoryView
from product_classifier.catalogue.challenge.guidelines import guidelines_of
from product_classifier.stored_taxonomy.change_store import StoredTaxonomy, TaxonomyState
from product_classifier.taxonomy import Category, Taxonomy

WAIT_S = 0.5
"""Longest time that a response waits for the numbers of products; they are null after it."""
Products = Mapping[str, int]


class CategoryList:
    """Lists and searches categories; its methods belong to one event loop, and work in threads."""

    def __init__(self, taxonomies: ServedTaxonomies, deployed: StoredTaxonomy | None = None) -> None:
        """Take the served taxonomies, and those of the store, which has the numbers of products."""
        self._taxonomies = taxonomies
        self._deployed = deployed
        self._reading: asyncio.Task[TaxonomyState] | None = None
        self._state: TaxonomyState | None = None
        self._complete: tuple[str, Products | None, ConditionalDocument] | None = None

    async def find(self, query: str = "") -> ConditionalDocument:
        """Return the categories whose code, labels and synonyms contain all words of `query`, best first.

        Without words, all categories are returned in the order of the taxonomy.

        Raises:
            ModelUnavailable: If neither the models nor the store have a taxonomy.
        """
        taxonomy = await self._taxonomies.current()
        products = await self._products(taxonomy)
        if query.strip():
            return await asyncio.to_thread(_search, taxonomy, products, query)
        if self._complete is None or self._complete[:2] != (taxonomy.digest, products):
            document = await asyncio.to_thread(_document, taxonomy, products, taxonomy)
            self._complete = (taxonomy.digest, products, document)
        return self._complete[2]

    async def _products(self, taxonomy: Taxonomy) -> Products | None:
        """Return the products by code that the release in service was trained with, None if they are not known."""
        if self._deployed is None:
            return None
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(asyncio.to_thread(self._deployed.current))
        await asyncio.wait({self._reading}, timeout=WAIT_S)
        if self._reading.done():
            self._state = self._reading.result()
        state = self._state
        return state.products or None if state and state.in_service.digest == taxonomy.digest else None


def _search(taxonomy: Taxonomy, products: Products | None, query: str) -> ConditionalDocument:
    return _document(taxonomy, products, taxonomy.search(query, len(taxonomy.categories)))


def _document(taxonomy: Taxonomy, products: Products | None, categories: Iterable[Category]) -> ConditionalDocument:
    view = CategoryListView(
        version=taxonomy.version,
        categories=[_view(taxonomy, products, category) for category in categories],
    )
    return ConditionalDocument(to_json(view), "application/json", cache_control="private, no-cache")


def _view(taxonomy: Taxonomy, products: Products | None, category: Category) -> CategoryView:
    code, parent = category.code, category.parent
    return CategoryView(
        code=taxonomy.to_json_code(code),
        labels=dict(category.labels),
        parent=None if parent is None else taxonomy.to_json_code(parent),
        path=list(taxonomy.path_labels(code)) or [category.label()],
        products=None if products is None else products.get(code, 0),
        answerable=taxonomy.is_answerable(code),
        guidelines=dict(guidelines_of(category)),
        label_fr=category.label("fr"),
        label_en=category.label("en"),
    )
