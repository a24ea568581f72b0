"""Write the sample catalogue as the challenge's files."""

import csv
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Final

import numpy as np

from product_classifier.catalogue.raw_files import is_challenge
from product_classifier.catalogue.sample.offers import Offer, offer, season_start
from product_classifier.catalogue.sample.photo_generator import PACKAGING, PACKAGING_IN_SEASON, photo
from product_classifier.errors import CatalogueError

MARKER: Final = "SAMPLE.json"
PRODUCT_FILE: Final = "X_train_update.csv"
LABEL_FILE: Final = "Y_train_CVw08PX.csv"
UNLABELLED_FILE: Final = "X_test_update.csv"

_VERSION: Final = 1
_FEWEST: Final = 27
_TOLD: Final = 500
_UNLABELLED: Final = 25
"""One unlabelled product per so many labelled ones."""
_HEADER: Final = ("", "designation", "description", "productid", "imageid")


def make_sample(
    folder: Path,
    products: int,
    seed: int,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
) -> bool:
    """Make the sample catalogue in a folder; return False if exactly this one is already there.

    Raises:
        CatalogueError: If the folder holds something else, which is never overwritten.
    """
    if products < _FEWEST or seed < 0:
        raise CatalogueError(f"a sample needs {_FEWEST} products or more and a seed from 0, not {products} and {seed}")
    recipe = json.dumps({"version": _VERSION, "products": products, "seed": seed})
    if is_sample(folder) and is_challenge(folder) and (folder / MARKER).read_text() == recipe:
        return False
    _clear(folder)
    (folder / MARKER).write_text(recipe)
    # Nobody knows the category of these products, and none of them is of the new season.
    unlabelled = range(products, products + products // _UNLABELLED)
    _write_products(folder, UNLABELLED_FILE, "image_test", seed, _offers(seed, unlabelled, unlabelled.stop))
    labels: list[int] = []

    def labelled() -> Iterator[tuple[int, Offer]]:
        for number, made in _offers(seed, range(products), season_start(products)):
            labels.append(made.label)
            if number % _TOLD == 0 or number == products - 1:
                progress("make sample", number + 1, products)
            yield number, made

    pending = f"{PRODUCT_FILE}.part"
    _write_products(folder, pending, "image_train", seed, labelled())
    _write_rows(folder / LABEL_FILE, ("", "prdtypecode"), enumerate(labels))
    # Last, so that a sample that was interrupted is not taken for a complete one.
    (folder / pending).rename(folder / PRODUCT_FILE)
    return True


def is_sample(folder: Path) -> bool:
    """Return whether what lies in a folder was made here."""
    return (folder / MARKER).is_file()


def seasonal_ids(folder: Path) -> frozenset[int]:
    """Return the numbers of the products of the new season in a sample made here."""
    recipe = json.loads((folder / MARKER).read_text())
    return frozenset(
        _ids(recipe["seed"], number)[0] for number in range(season_start(recipe["products"]), recipe["products"])
    )


def _clear(folder: Path) -> None:
    found = sorted(entry.name for entry in folder.iterdir() if entry.name[0] != ".") if folder.exists() else []
    if found and not is_sample(folder):
        listed = ", ".join(found[:8])
        raise CatalogueError(f"{str(folder)!r} is not empty and not a sample made before; it holds: {listed}")
    folder.mkdir(parents=True, exist_ok=True)
    for name in (PRODUCT_FILE, LABEL_FILE, UNLABELLED_FILE):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "images", ignore_errors=True)


def _offers(seed: int, numbers: range, season_from: int) -> Iterator[tuple[int, Offer]]:
    return ((number, offer(seed, number, season_from)) for number in numbers)


def _write_products(folder: Path, name: str, kind: str, seed: int, offers: Iterable[tuple[int, Offer]]) -> None:
    photos = folder / "images" / kind
    photos.mkdir(parents=True, exist_ok=True)

    def rows() -> Iterator[tuple[object, ...]]:
        for row, (number, made) in enumerate(offers):
            product_id, image_id = _ids(seed, number)
            if made.photo is not None:
                packaging = PACKAGING_IN_SEASON if made.season else PACKAGING
                shown = photo(np.random.default_rng([seed, made.photo]), made.code, packaging)
                (photos / f"image_{image_id}_product_{product_id}.jpg").write_bytes(shown)
            yield row, made.title, made.description, product_id, image_id

    _write_rows(folder / name, _HEADER, rows())


def _write_rows(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _ids(seed: int, number: int) -> tuple[int, int]:
    """Return product and photo number: rising, because shops number their products as they come."""
    random = Random(f"{seed}/{number}/ids")  # noqa: S311 - repeatable, not secret
    return 400_000_000 + number * 11 + random.randrange(11), 1_000_000_000 + number * 7 + random.randrange(7)
