"""Rows of a catalogue, usable and rejected, and their summary."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

from product_classifier.errors import CatalogueError
from product_classifier.taxonomy import Taxonomy
from product_classifier.taxonomy.stored_codes import to_stored

Progress = Callable[[str, int, int], None]
"""Called with the name of the task, the number of items done, and the total (0 if unknown)."""

_SHOWN_CHARACTERS: Final = 60


class CatalogueRow(NamedTuple):
    """One row of the catalogue table."""

    product_id: int | str
    """The catalogue's id; an integer in the challenge."""
    designation: str
    description: str
    image_path: str
    """Path of the photo relative to the raw folder; empty without a photo."""
    code: str
    """Category code; empty without a category."""
    line: int
    """Line of the product in its raw file; the header is line 1."""
    image_sha256: str = ""
    file: str = ""
    """Name of its raw file."""
    group: str = ""
    """Offers of one product have one group; empty without groups."""
    other_images: str = ""
    """Further photos of the product as a JSON list; models use the first one only."""


COLUMNS: Final = CatalogueRow._fields


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that cannot be used: its file, line, field and value, and the reason."""

    file: str
    line: int
    field: str
    value: str
    reason: str
    product_kept: bool = False
    """Whether the product is used without its photo."""

    def __str__(self) -> str:
        return f"{self.file} line {self.line}, {self.field} {self.value}: {self.reason}"


class ProductSource(Protocol):
    """Where products come from: the challenge's files, or those that a layout describes."""

    @property
    def photo_field(self) -> str:
        """Name of the photo's column for messages."""

    def rows(self, progress: Progress = ...) -> Iterator[CatalogueRow | RejectedRow]:
        """Yield each product and each rejected row; photos are located, not read."""

    def taxonomy(self) -> Taxonomy:
        """Return the taxonomy of the products read so far."""


def check_reject_share(rejects: Sequence[RejectedRow], products: int, allowed: float) -> None:
    """Raise `CatalogueError` without products, or if the share of rejects exceeds `allowed` (0 to 1)."""
    rejects = [reject for reject in rejects if not reject.product_kept]
    rows = products + len(rejects)
    if products and len(rejects) <= allowed * rows:
        return
    reasons = Counter(re.sub(r"\d+", "#", reject.reason) for reject in rejects)
    first = {re.sub(r"\d+", "#", reject.reason): reject for reject in reversed(rejects)}
    listed = "; ".join(f"{count} × {first[reason]}" for reason, count in reasons.most_common(5))
    share = len(rejects) / max(rows, 1)
    raise CatalogueError(
        f"{len(rejects)} of {rows} rows ({share:.1%}) cannot be used, {allowed:.1%} are allowed; "
        f"first of each reason: {listed or 'the file has no rows'}"
    )


class RevisionDigest:
    """The digest of a catalogue's contents, product by product; paths of photos do not count."""

    def __init__(self) -> None:
        self._digest = sha256()

    def update(self, product_id: object, code: str, designation: str, description: str, image_sha256: str) -> None:
        """Add a product."""
        product = (product_id, to_stored(code), designation, description, image_sha256)
        self._digest.update(repr(product).encode("utf-8", errors="surrogatepass"))

    def hexdigest(self) -> str:
        """Return the digest of the products added so far."""
        return self._digest.hexdigest()


def shorten(value: str) -> str:
    """Return the representation of a value for a message, cut after 60 characters."""
    return repr(value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "…")
