"""The products of the unseen side, from a folder or an object store.

unseen = Unseen("data")
for product in choose(unseen.products(), n=100, half="b", seed=27): ...
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

import pandas as pd

from product_classifier.catalogue.raw_files import PHOTO_FOLDERS
from product_classifier.catalogue.splits import content_keys
from product_classifier.errors import CatalogueError, ObjectNotFound
from product_classifier.store import open_store
from product_classifier.taxonomy import BY_CODE

TABLE = "splits/unseen.parquet"
READERS = 16
NEITHER = ""
_COLUMNS = ["product_id", "designation", "description", "image_path", "code", "image_sha256"]


@dataclass(frozen=True, slots=True)
class Product:
    """One product with the category it really has."""

    product_id: int
    designation: str
    description: str
    photo: str
    """Where its photo was when the catalogue was made; empty without one."""
    code: int
    image_sha256: str
    half: str
    """`a` or `b`; empty for one that has something in common with both."""


class Unseen:
    """What there is to replay, and the photos."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._files = _files(location)

    def products(self) -> tuple[Product, ...]:
        """Return every product of a known category that has words or a photo, in the order of the catalogue."""
        try:
            frame = pd.read_parquet(io.BytesIO(self._files.read(TABLE)), columns=_COLUMNS)
        except FileNotFoundError as error:
            raise CatalogueError(f"there is no {TABLE} in {self._location!r}; `make data` makes it") from error
        except ValueError as error:
            raise CatalogueError(f"{TABLE} in {self._location!r} is not a table of products: {error}") from error
        rows = list(frame.itertuples(index=False, name=None))
        halves = _halves([content_keys(row[1], row[2], row[5]) for row in rows])
        return tuple(
            Product(int(number), designation, description, photo, int(code), digest, half)
            for (number, designation, description, photo, code, digest), half in zip(rows, halves, strict=True)
            if code in BY_CODE and (photo or designation.strip() or description.strip())
        )

    def photos(self, products: Iterable[Product]) -> dict[str, bytes]:
        """Return the photos of these products by `Product.photo`; many are read at once."""
        wanted = sorted({product.photo for product in products if product.photo})
        with ThreadPoolExecutor(READERS) as pool:
            return dict(zip(wanted, pool.map(self._photo, wanted), strict=True))

    def _photo(self, path: str) -> bytes:
        try:
            return self._files.read_photo(path)
        except FileNotFoundError as error:
            raise CatalogueError(f"photo {path!r} is not there, nor in {self._location!r}") from error


def choose(products: Sequence[Product], *, n: int, half: str, seed: int) -> list[Product]:
    """Return `n` of the products in an order of the seed, all of them once for 0."""
    mine = [product for product in products if not half or product.half == half]
    if not mine:
        raise CatalogueError(f"none of {len(products)} unseen products is in half {half!r}")
    chosen: list[Product] = []
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    while len(chosen) < (n or len(mine)):
        chosen += random.sample(mine, len(mine))
    return chosen[: n or len(mine)]


class _Files(Protocol):
    """Raises FileNotFoundError for what is not there."""

    def read(self, name: str) -> bytes:
        """Return a file below the data folder."""

    def read_photo(self, path: str) -> bytes:
        """Return a photo by the path it had on the machine that made the catalogue."""


@dataclass(frozen=True)
class _Folder:
    root: Path

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def read_photo(self, path: str) -> bytes:
        here = Path(path)
        return here.read_bytes() if here.is_file() else self.read(_below_raw(path))


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
    """Return where a photo lies in a data folder, whatever its raw folder was called on another machine."""
    folder, _, name = path.rpartition("/")
    within = max((one for one in PHOTO_FOLDERS if f"/{folder}".endswith(f"/{one}")), key=len, default="images")
    return f"raw/{within}/{name}"


def _halves(keys_of: Sequence[tuple[str, ...]]) -> list[str]:
    """Give near copies the same half: the hash of the key that founded their group decides."""
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
