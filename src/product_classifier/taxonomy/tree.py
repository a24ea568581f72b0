"""The taxonomy of a catalogue: its categories as a tree, and which of them a model answers.

taxonomy = Taxonomy((Category("food"), Category("food > tea", parent="food")))
taxonomy.codes              # answerable codes, in the order of every probability vector
taxonomy.path_of("food > tea")
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Literal, get_args

from product_classifier.errors import TaxonomyError, UnknownCategory
from product_classifier.taxonomy.category import Category, normalize_code
from product_classifier.taxonomy.search import SearchIndex

Codes = tuple[str, ...]
"""Category codes in the order of a probability vector."""
CodeType = Literal["string", "integer"]
CODE_TYPES: Final[tuple[CodeType, ...]] = get_args(CodeType)

ANSWERABLE: Final = 10_000
"""Categories that a model may answer."""
NODES: Final = 100_000
"""Categories of a taxonomy, inner ones included."""
DEPTH: Final = 100
"""Categories of a path."""
_INT64: Final = 1 << 63


@dataclass(frozen=True)
class Taxonomy:
    """The categories of a catalogue in one version; equal digests mean equal taxonomies.

    A category is answerable, or only known: an inner node, or one with too few products to learn. Position `i` of
    `codes` is column `i` of every probability vector.
    """

    categories: tuple[Category, ...]
    """All categories, in any order."""
    codes: Codes = ()
    """Answerable codes in the order of a probability vector; by default the leaves in the order of `categories`."""
    version: int = 1
    code_type: CodeType = "string"
    """How JSON and V2 show codes; inside they are strings always."""
    minimum_products: int = 0
    """Products below which a category is not answerable; with 0 the answerable categories are fixed."""
    tombstones: frozenset[str] = frozenset()
    """Codes of earlier versions, which are never given again."""
    _by_code: dict[str, Category] = field(init=False, repr=False, compare=False)
    _positions: dict[str, int] = field(init=False, repr=False, compare=False)
    _children: dict[str | None, list[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_code, children = _index(self.categories)
        object.__setattr__(self, "_by_code", by_code)
        object.__setattr__(self, "_children", children)
        if not self.codes:
            object.__setattr__(self, "codes", tuple(code for code in by_code if code not in children))
        object.__setattr__(self, "_positions", {code: position for position, code in enumerate(self.codes)})
        _check(self)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __len__(self) -> int:
        """Return the number of answerable categories, the columns of a probability vector."""
        return len(self.codes)

    def __iter__(self) -> Iterator[Category]:
        """Iterate over all categories."""
        return iter(self.categories)

    def __contains__(self, code: object) -> bool:
        """Return whether a category has this code, answerable or not."""
        return code in self._by_code

    def __getitem__(self, code: str) -> Category:
        """Return the category with this code; raise `UnknownCategory` if there is none."""
        try:
            return self._by_code[code]
        except KeyError:
            raise self._unknown(code) from None

    def index_of(self, code: str) -> int:
        """Return the position of a code in a probability vector; raise `UnknownCategory` if it has none."""
        try:
            return self._positions[code]
        except KeyError:
            if code in self:
                raise UnknownCategory(
                    f"category code {code!r:.80} is known, but not answered; it is an inner node or too small"
                ) from None
            raise self._unknown(code) from None

    def is_answerable(self, code: str) -> bool:
        """Return whether a model answers this code."""
        return code in self._positions

    def class_of(self, code: str) -> str | None:
        """Return the answerable category where products of `code` are learned: itself or its nearest ancestor.

        None if no category of its path is answerable; raise `UnknownCategory` for an unknown code.
        """
        return next((one for one in reversed(self.path_of(code)) if one in self._positions), None)

    def path_of(self, code: str) -> Codes:
        """Return the codes from the root to this one; raise `UnknownCategory` for an unknown code."""
        path = [self[code]]
        while (parent := path[-1].parent) is not None:
            path.append(self._by_code[parent])
        return tuple(category.code for category in reversed(path))

    def ancestors(self, code: str) -> Codes:
        """Return the codes above this one, nearest first."""
        return tuple(reversed(self.path_of(code)[:-1]))

    def children(self, code: str | None = None) -> Codes:
        """Return the codes directly below this one, or the roots for None."""
        return tuple(self._children.get(code, ()))

    def label(self, code: str, *languages: str) -> str:
        """Return the label of a code, see `Category.label`; raise `UnknownCategory` for an unknown code."""
        return self[code].label(*languages)

    def path_labels(self, code: str, *languages: str) -> tuple[str, ...]:
        """Return the labels from the root to this code; empty for a root, which has no path."""
        path = self.path_of(code)
        return tuple(self.label(one, *languages) for one in path) if len(path) > 1 else ()

    def search(self, query: str, limit: int = 50) -> list[Category]:
        """Return the categories whose code, labels and synonyms contain all words of `query`, best first.

        Case and accents are ignored.
        """
        return [self.categories[position] for position in self._search_index.find(query, limit)]

    def nearest(self, code: str, limit: int = 3) -> Codes:
        """Return the codes whose code, label or synonym is most similar to an unknown code."""
        return tuple(self.categories[position].code for position in self._search_index.nearest(code, limit))

    def with_answerable(self, products: Mapping[str, int]) -> "Taxonomy":
        """Return this taxonomy with the answerable categories that `products` allow.

        A category with fewer than `minimum_products` products gives them to its parent, which is answerable if it then
        has enough; one without a parent is not answerable. The order is that of `categories`.

        Args:
            products: Number of products by the code they are labelled with.

        Raises:
            TaxonomyError: If fewer than two categories are answerable.
        """
        if not self.minimum_products:
            return self
        counts = {code: products.get(code, 0) for code in self._by_code}
        for code in sorted(counts, key=lambda one: len(self.path_of(one)), reverse=True):
            parent = self._by_code[code].parent
            if counts[code] < self.minimum_products and parent is not None:
                counts[parent] += counts[code]
                counts[code] = 0
        codes = tuple(code for code in self._by_code if counts[code] >= self.minimum_products)
        if len(codes) < 2:
            raise TaxonomyError(
                f"categories: {len(codes)} of {len(self.categories)} have {self.minimum_products} products; "
                "add products, or lower category.minimum_products in catalogue.yaml"
            )
        return replace(self, codes=codes)

    def to_json_code(self, code: str) -> str | int:
        """Return a code as JSON shows it: a number where the catalogue has integer codes."""
        return int(code) if self.code_type == "integer" else code

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 of the canonical JSON document."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document of `taxonomy/taxonomy.json`."""
        return {
            "version": self.version,
            "code_type": self.code_type,
            "minimum_products": self.minimum_products,
            "codes": list(self.codes),
            "tombstones": sorted(self.tombstones),
            "categories": [_category_to_json(category) for category in self.categories],
        }

    @cached_property
    def _search_index(self) -> SearchIndex:
        return SearchIndex([(one.code, *one.labels.values(), *one.synonyms) for one in self.categories])

    def _unknown(self, code: object) -> UnknownCategory:
        near = ", ".join(repr(one) for one in self.nearest(code)) if isinstance(code, str) else ""
        hint = f"; the nearest are {near}" if near else ""
        return UnknownCategory(f"category code {code!r:.80} is not one of the {len(self.categories)} known codes{hint}")


def category_from_json(values: Mapping[str, Any], where: str) -> Category:
    """Return the category of a JSON object; raise `TaxonomyError` if it is malformed."""
    match values:
        case {"code": str(code)}:
            labels, synonyms = values.get("labels", {}), values.get("synonyms", [])
            parent, guideline = values.get("parent"), values.get("guideline", "")
            if (
                isinstance(labels, dict)
                and isinstance(synonyms, list)
                and isinstance(guideline, str)
                and (parent is None or isinstance(parent, str))
                and all(isinstance(text, str) for text in (*labels, *labels.values(), *synonyms))
            ):
                return Category(
                    normalize_code(code, where),
                    labels,
                    None if parent is None else normalize_code(parent, f"{where}: parent"),
                    tuple(synonyms),
                    guideline,
                )
    raise TaxonomyError(
        f"{where}: {values!r:.80} is not a category; give code, and optionally labels, parent, synonyms, guideline"
    )


def _category_to_json(category: Category) -> dict[str, Any]:
    values: dict[str, Any] = {"code": category.code, "labels": dict(category.labels)}
    if category.parent is not None:
        values["parent"] = category.parent
    if category.synonyms:
        values["synonyms"] = list(category.synonyms)
    if category.guideline:
        values["guideline"] = category.guideline
    return values


def _index(categories: Sequence[Category]) -> tuple[dict[str, Category], dict[str | None, list[str]]]:
    """Return the categories by code and the codes by parent; raise `TaxonomyError` for a repeated code."""
    by_code: dict[str, Category] = {}
    children: dict[str | None, list[str]] = {}
    for category in categories:
        if (other := by_code.get(category.code)) is not None:
            if other.parent != category.parent:
                raise TaxonomyError(
                    f"category {category.code!r:.80}: has two parents, {other.parent!r:.80} and "
                    f"{category.parent!r:.80}; keep one"
                )
            raise TaxonomyError(f"category {category.code!r:.80}: is given twice; remove one")
        by_code[category.code] = category
        children.setdefault(category.parent, []).append(category.code)
    return by_code, children


def _check(taxonomy: Taxonomy) -> None:
    if len(taxonomy.categories) > NODES:
        raise TaxonomyError(
            f"categories: {len(taxonomy.categories)} are given, {NODES} are accepted; is the column an id?"
        )
    if len(taxonomy.codes) > ANSWERABLE:
        raise TaxonomyError(
            f"categories: {len(taxonomy.codes)} would be answered, {ANSWERABLE} are accepted; "
            "choose a lower category.level or a higher category.minimum_products"
        )
    if not taxonomy.categories:
        raise TaxonomyError("categories: there is none; two or more are needed")
    if taxonomy.version < 1:
        raise TaxonomyError(f"version: {taxonomy.version} is not a version; versions count from 1")
    if len(set(taxonomy.codes)) != len(taxonomy.codes):
        raise TaxonomyError("codes: an answerable code is given twice; remove one")
    if unknown := next((code for code in taxonomy.codes if code not in taxonomy), None):
        raise TaxonomyError(f"codes: {unknown!r:.80} is not a category; add it or remove it")
    if reused := next((code for code in taxonomy.tombstones if code in taxonomy), None):
        raise TaxonomyError(f"category {reused!r:.80}: its code was retired before; a code is never given again")
    if taxonomy.code_type == "integer":
        _check_integers(taxonomy)
    _check_tree(taxonomy)


def _check_integers(taxonomy: Taxonomy) -> None:
    for category in taxonomy.categories:
        code = category.code
        plain = code.removeprefix("-").isascii() and code.removeprefix("-").isdigit() and len(code) < 21
        if not plain or str(int(code)) != code or not -_INT64 <= int(code) < _INT64:
            raise TaxonomyError(f"category {code!r:.80}: is not an integer; write codes: string in catalogue.yaml")


def _check_tree(taxonomy: Taxonomy) -> None:
    """Raise `TaxonomyError` if a parent is missing or a category is below itself; linear in the categories."""
    by_code = {category.code: category for category in taxonomy.categories}
    depths: dict[str | None, int] = {None: 0}
    for category in taxonomy.categories:
        path: dict[str, None] = {}
        code: str | None = category.code
        while code is not None and code not in depths:
            if code in path:
                raise TaxonomyError(f"category {code!r:.80}: is below itself; correct its parent")
            if code not in by_code:
                below = next(reversed(path))
                raise TaxonomyError(f"category {below!r:.80}: its parent {code!r:.80} is missing; add it")
            path[code] = None
            code = by_code[code].parent
        for depth, below in enumerate(reversed(path), depths[code] + 1):
            depths[below] = depth
            if depth > DEPTH:
                raise TaxonomyError(f"category {below!r:.80}: is {depth} levels deep; {DEPTH} are accepted")
