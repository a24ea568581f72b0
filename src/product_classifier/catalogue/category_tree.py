"""The taxonomy of a catalogue: from the paths in its products, or from its labels file."""

from collections.abc import Iterator, Mapping

from product_classifier.catalogue.categories import PATH_SEPARATOR, CategoryCount, shorten_code
from product_classifier.catalogue.category_labels import CategoryLabels
from product_classifier.catalogue.layout import CatalogueLayout
from product_classifier.errors import CatalogueError, TaxonomyError
from product_classifier.taxonomy.category import Category
from product_classifier.taxonomy.tree import Taxonomy

UNDETERMINED = "und"
"""Language of labels where the layout names none (BCP 47)."""


def build_taxonomy(
    counts: Mapping[str, CategoryCount], layout: CatalogueLayout, labels: CategoryLabels | None
) -> Taxonomy:
    """Return the taxonomy of the categories that were counted in the products.

    Answerable are those with `minimum_products`; a smaller one gives its products to its parent. The order is that of
    the labels file, else that in which the products name the categories.

    Raises:
        CatalogueError: If fewer than two categories have enough products, or a code is not accepted.
    """
    _check_column(counts, layout)
    categories = tuple(_from_labels(labels) if labels is not None else _from_paths(counts, layout))
    try:
        known = Taxonomy(
            categories, tuple(counts), code_type=layout.codes, minimum_products=layout.category.minimum_products
        )
    except TaxonomyError as error:
        raise CatalogueError(f"columns.category: {error}") from error
    try:
        return known.with_answerable({code: found.products for code, found in counts.items()})
    except TaxonomyError as error:
        raise CatalogueError(_too_small(counts, layout)) from error


def _from_labels(labels: CategoryLabels) -> Iterator[Category]:
    for row in labels.rows.values():
        yield Category(row.code, row.labels, row.parent or None, row.synonyms, row.guideline)


def _from_paths(counts: Mapping[str, CategoryCount], layout: CatalogueLayout) -> Iterator[Category]:
    """Yield a category for each path and each beginning of one, parents first."""
    language = (layout.languages or [UNDETERMINED])[0]
    paths = dict.fromkeys(found.path[:depth] for found in counts.values() for depth in range(1, len(found.path) + 1))
    for path in paths:
        parent = PATH_SEPARATOR.join(path[:-1]) or None
        yield Category(PATH_SEPARATOR.join(path), {language: path[-1]}, parent)


def _check_column(counts: Mapping[str, CategoryCount], layout: CatalogueLayout) -> None:
    """Raise `CatalogueError` if no product or every product has the same category."""
    if not counts:
        raise CatalogueError(
            f"columns.category: no product has a category in {layout.columns.category!r}; name the column of the"
            " category"
        )
    if len(counts) == 1:
        [(code, found)] = counts.items()
        raise CatalogueError(
            f"{found.first.file}, column {found.first.column}: all {found.products:,} products have the category"
            f" {shorten_code(code)}; name another column in `columns.category`"
        )


def _too_small(counts: Mapping[str, CategoryCount], layout: CatalogueLayout) -> str:
    first = next(iter(counts.values())).first
    products = sum(found.products for found in counts.values())
    minimum = layout.category.minimum_products
    enough = sum(found.products >= minimum for found in counts.values())
    return (
        f"{first.file}, column {first.column}: {products:,} products have {len(counts):,} categories, and {enough} of"
        f" them at least {minimum} products; it looks like an id or a name, so name the column of the category, or set"
        " a smaller `category.level` or `category.minimum_products`"
    )
