"""Products of the split `unseen`, from a folder or an object store.

catalogue = UnseenCatalogue("data")
for product in select(catalogue.products(), n=100, half="b", seed=27): ...
"""

import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Protocol
from urllib.parse import urlsplit

from product_classifier.catalogue.challenge.challenge_files import PHOTO_FOLDERS
from product_classifier.catalogue.challenge.earlier_versions import earlier_taxonomy
from product_classifier.catalogue.content_keys import content_keys
from product_classifier.catalogue.product_table import read_products
from product_classifier.errors import CatalogueError, ObjectNotFound
from product_classifier.store import open_store
from product_classifier.taxonomy import Taxonomy
from product_classifier.taxonomy.folder import FILE, FOLDER, from_bytes

TABLE = "splits/unseen.parquet"
TAXONOMY = f"{FOLDER}/{FILE}"
"""That of the dataset in a folder, that of the release in service in an object store."""
READERS = 16
URL_PHOTOS = "photos-by-url/"
"""Beginning of the path of a photo that was downloaded, which is relative to the data folder."""
NEITHER = ""
_COLUMNS = ["product_id", "designation", "description", "image_path", "code", "image_sha256"]


@dataclass(frozen=True, slots=True)
class UnseenProduct:
    """A product with its true category."""

    product_id: int | str
    designation: str
    description: str
    photo: str
    """Path of its photo in the raw folder, or on the machine that made an older catalogue; empty without one."""
    code: str
    """The category where its label is learned: its own, or the one above if that is too small to be answered."""
    image_sha256: str
    half: str
    """`a` or `b`; empty for a product that shares a text or photo with both."""


class UnseenCatalogue:
    """Unseen products and their photos."""

    def __init__(self, location: str) -> None:
        """Take a folder or `s3://bucket/prefix` with `splits/` and `taxonomy/`."""
        self._location = location
        self._files = _files(location)

    def products(self) -> tuple[UnseenProduct, ...]:
        """Return every product that has text or a photo and a known category, in the order of the catalogue."""
        taxonomy = self._taxonomy()
        try:
            frame = read_products(io.BytesIO(self._files.read(TABLE)), columns=_COLUMNS)
        except FileNotFoundError as error:
            raise CatalogueError(f"{TABLE}: missing in {self._location!r}; run `make data`") from error
        except ValueError as error:
            raise CatalogueError(f"{TABLE}: not a table of products, in {self._location!r}: {error}") from error
        rows = list(frame.itertuples(index=False, name=None))
        halves = _halves([content_keys(row[1], row[2], row[5]) for row in rows])
        return tuple(
            UnseenProduct(number, designation, description, photo, taxonomy.class_of(code) or code, digest, half)
            for (number, designation, description, photo, code, digest), half in zip(rows, halves, strict=True)
            if code in taxonomy and (photo or designation.strip() or description.strip())
        )

    def photos(self, products: Iterable[UnseenProduct]) -> dict[str, bytes]:
        """Return the photos of these products by `UnseenProduct.photo`; reads several concurrently."""
        wanted = sorted({product.photo for product in products if product.photo})
        with ThreadPoolExecutor(READERS) as pool:
            return dict(zip(wanted, pool.map(self._photo, wanted), strict=True))

    def _taxonomy(self) -> Taxonomy:
        """Return the taxonomy beside the splits; raise `TaxonomyError` if it is malformed."""
        try:
            return from_bytes(self._files.read(TAXONOMY), TAXONOMY)
        except FileNotFoundError:
            return earlier_taxonomy()

    def _photo(self, path: str) -> bytes:
        try:
            return self._files.read_photo(path)
        except FileNotFoundError as error:
            raise CatalogueError(f"photo {path!r}: missing, there and in {self._location!r}") from error


def select(products: Sequence[UnseenProduct], *, n: int, half: str, seed: int) -> list[UnseenProduct]:
    """Return `n` products in random order, 0 for each once; more than there are start again."""
    eligible = [product for product in products if not half or product.half == half]
    if not eligible:
        raise CatalogueError(f"half {half!r}: has none of {len(products)} unseen products; use the other half or none")
    selected: list[UnseenProduct] = []
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    while len(selected) < (n or len(eligible)):
        selected += random.sample(eligible, len(eligible))
    return selected[: n or len(eligible)]


class _Files(Protocol):
    """Reads files; raises FileNotFoundError."""

    def read(self, name: str) -> bytes:
        """Return a file below the data folder."""

    def read_photo(self, path: str) -> bytes:
        """Return a photo by `UnseenProduct.photo`."""


@dataclass(frozen=True)
class _Folder:
    root: Path

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def read_photo(self, path: str) -> bytes:
        original = Path(path)
        return original.read_bytes() if original.is_absolute() and original.is_file() else self.read(_below_raw(path))


class _Bucket:
    def __init__(self, bucket: str, prefix: str) -> None:
        self._store = open_store(f"s3://{bucket}")
        self._prefix = f"{prefix}/" if prefix else ""

    def read(self, name: str) -> bytes:
        try:
            return self._store.get(self._prefix + name)
        except ObjectNotFound as error:
            raise FileNotFoundError(name) from error

    def read_photo(self, path: str) -> bytes:
        return self.read(_below_raw(path))


def _files(location: str) -> _Files:
    parts = urlsplit(location)
    return _Bucket(parts.netloc, parts.path.strip("/")) if parts.scheme == "s3" else _Folder(Path(location))


def _below_raw(path: str) -> str:
    """Return the path of a photo below the data folder; older catalogues hold paths of other machines."""
    if "/" in path[1:] and not path.startswith("/") and not any(f"/{one}/" in f"/{path}" for one in PHOTO_FOLDERS):
        return path if path.startswith(URL_PHOTOS) else f"raw/{path}"
    folder, _, name = path.rpartition("/")
    within = max((one for one in PHOTO_FOLDERS if f"/{folder}".endswith(f"/{one}")), key=len, default="images")
    return f"raw/{within}/{name}"


def _halves(keys_of: Sequence[tuple[str, ...]]) -> list[str]:
    """Assign near duplicates to the same half, by the hash of the first key of their group."""
    half_of: dict[str, str] = {}
    halves = []
    for keys in keys_of:
        known = {half_of[key] for key in keys if key in half_of}
        half = NEITHER if len(known) > 1 or not keys else (known.pop() if known else _hashed(keys[0]))
        half_of.update((key, half) for key in keys if key not in half_of)
        halves.append(half)
    return halves


def _hashed(key: str) -> str:
    return "ab"[sha256(f"product-classifier/half/{key}".encode()).digest()[0] % 2]
