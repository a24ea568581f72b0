"""Report what a training would find in a catalogue: sizes, missing parts, near copies, contradictions."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from typing import Final

from product_classifier.catalogue.catalogue_rows import CatalogueRow, ProductSource, RejectedRow
from product_classifier.catalogue.content_keys import text_key
from product_classifier.catalogue.layout import CategoryCell
from product_classifier.catalogue.layout_source import LayoutSource
from product_classifier.catalogue.photo_folder import is_remote
from product_classifier.errors import CatalogueError
from product_classifier.taxonomy.tree import Taxonomy
from product_classifier.text.normalization import has_words

SAMPLE_ROWS: Final = 5
_JUDGED: Final = 50
"""Products with which a category has about five in the hold-out; fewer measure its F1 hardly."""
_LISTED: Final = 5
_CELL: Final = 60


@dataclass(slots=True)
class CatalogueReport:
    """Numbers about the products of a catalogue."""

    products: int = 0
    unlabelled: int = 0
    rejected: int = 0
    without_text: int = 0
    without_description: int = 0
    without_photo: int = 0
    by_url: int = 0
    near_copies: int = 0
    """Products whose text an earlier product has."""
    contradicting: int = 0
    """Near copies with another category than the first of them."""
    groups: int = 0
    shorter_paths: int = 0
    sample: list[CatalogueRow] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    first_rejects: dict[str, RejectedRow] = field(default_factory=dict)
    contradictions: list[str] = field(default_factory=list)
    sizes: Counter[str] = field(default_factory=Counter)
    """Products by code."""
    taxonomy: Taxonomy | None = None
    problem: str = ""
    """Why the catalogue cannot be used as it is."""

    def lines(self, cells: CategoryCell) -> Iterator[str]:
        """Yield the report as lines of text; `cells` has the smallest number of products and the level."""
        yield from self._sample_lines()
        yield ""
        total = self.products + self.unlabelled
        yield f"products: {total:,}, {self.unlabelled:,} of them without a category; rejected rows: {self.rejected:,}"
        for reason, count in self.reasons.most_common(_LISTED):
            yield f"  {count:,} × {self.first_rejects[reason]}"
        yield (
            f"missing: {self.without_text:,} without text, {self.without_description:,} without description,"
            f" {self.without_photo:,} without photo" + (f"; {self.by_url:,} photos by URL" if self.by_url else "")
        )
        if self.groups:
            yield f"groups: {self.groups:,}; rows of one group share a split"
        yield f"near copies: {self.near_copies:,} products have the text of an earlier one"
        yield f"contradictions: {self.contradicting:,} near copies have another category than the first of them"
        yield from (f"  {example}" for example in self.contradictions)
        yield from self._category_lines(cells)
        if self.problem:
            yield f"PROBLEM: {self.problem}"

    def _sample_lines(self) -> Iterator[str]:
        yield f"the first {len(self.sample)} products as they are read:"
        for row in self.sample:
            yield f"  {row.file} line {row.line}, id {row.product_id}: {_cut(row.designation)!r}"
            parts = [f"category {row.code!r}" if row.code else "no category"]
            parts += [f"description {_cut(row.description)!r}"] if row.description else []
            parts += [f"photo {_cut(row.image_path)!r}"] if row.image_path else []
            parts += [f"group {row.group!r}"] if row.group else []
            yield f"    {', '.join(parts)}"

    def _category_lines(self, cells: CategoryCell) -> Iterator[str]:
        sizes = self.sizes.most_common()
        if not sizes:
            return
        counts = [size for _, size in sizes]
        yield (
            f"categories: {len(sizes):,}; products of one: {counts[0]:,} at most, {counts[len(counts) // 2]:,} in the"
            f" middle, {counts[-1]:,} at least"
        )
        yield f"  largest: {_listed(sizes)}"
        minimum = cells.minimum_products
        small = [pair for pair in sizes if pair[1] < minimum]
        if small:
            affected = sum(size for _, size in small)
            answered = "" if self.taxonomy is None else f"; {len(self.taxonomy):,} categories can be answered"
            yield (
                f"  too small to learn (under {minimum} products): {len(small):,} with {affected:,} products, learned"
                f" with their parent or left out{answered}; such as {_listed(small)}"
            )
        thin = [pair for pair in sizes if minimum <= pair[1] < _JUDGED]
        if thin:
            yield f"  too small to measure well (under {_JUDGED} products): {len(thin):,}; such as {_listed(thin)}"
        if self.shorter_paths:
            yield f"  paths shorter than level {cells.level}: {self.shorter_paths:,} products"


def inspect_catalogue(source: ProductSource) -> CatalogueReport:
    """Read all products of a catalogue, without their photos; return what was found."""
    report = CatalogueReport()
    first_of_text: dict[bytes, tuple[str, int]] = {}
    groups: set[bytes] = set()
    try:
        for row in source.rows():
            if isinstance(row, RejectedRow):
                report.rejected += 1
                report.reasons[row.reason] += 1
                report.first_rejects.setdefault(row.reason, row)
                continue
            _count(report, row)
            if row.group:
                groups.add(_short_digest(row.group))
            if key := text_key(row.designation, row.description):
                digest = _short_digest(key)
                if digest in first_of_text:
                    _count_copy(report, row, *first_of_text[digest])
                else:
                    first_of_text[digest] = row.code, row.line
        if isinstance(source, LayoutSource):
            report.taxonomy = source.taxonomy()
            report.shorter_paths = source.cells.shorter
    except CatalogueError as error:
        report.problem = str(error)
    report.groups = len(groups)
    return report


def _count(report: CatalogueReport, row: CatalogueRow) -> None:
    if row.code != "":
        report.products += 1
        report.sizes[row.code] += 1
    report.unlabelled += row.code == ""
    report.without_text += not has_words(row.designation, row.description)
    report.without_description += not row.description
    report.without_photo += not row.image_path
    report.by_url += is_remote(row.image_path)
    if len(report.sample) < SAMPLE_ROWS:
        report.sample.append(row)


def _count_copy(report: CatalogueReport, row: CatalogueRow, code: str, line: int) -> None:
    report.near_copies += 1
    if row.code and code and row.code != code:
        report.contradicting += 1
        if len(report.contradictions) < _LISTED:
            report.contradictions.append(
                f"{row.file} lines {line} and {row.line}, {_cut(row.designation)!r}: {code!r} and {row.code!r}"
            )


def _short_digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", errors="surrogatepass")).digest()[:12]


def _listed(sizes: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{code!r} {size:,}" for code, size in islice(sizes, _LISTED))


def _cut(text: str) -> str:
    return text if len(text) <= _CELL else text[:_CELL] + "…"
