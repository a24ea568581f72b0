"""Write the sample catalogue in the layout of the challenge."""

import csv
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Final

import numpy as np

from product_classifier.catalogue.challenge.challenge_files import is_challenge
from product_classifier.catalogue.challenge.sample.offers import Offer, offer, season_start
from product_classifier.catalogue.challenge.sample.photo_generator import PACKAGING, PACKAGING_IN_SEASON, photo
from product_classifier.catalogue.challenge.sample.words import VOCABULARIES
from product_classifier.errors import CatalogueError

MARKER: Final = "SAMPLE.json"
PRODUCT_FILE: Final = "X_train_update.csv"
LABEL_FILE: Final = "Y_train_CVw08PX.csv"
UNLABELLED_FILE: Final = "X_test_update.csv"

_VERSION: Final = 1
_MIN_PRODUCTS: Final = len(VOCABULARIES)
_PROGRESS_INTERVAL: Final = 500
_UNLABELLED: Final = 25
"""Labelled products per unlabelled one."""
_HEADER: Final = ("", "designation", "description", "productid", "imageid")


def make_sample(
    folder: Path,
    products: int,
    seed: int,
    progress: Callable[[str, int, int], None] = lambda _task, _done, _total: None,
) -> bool:
    """Write the sample catalogue into a folder; return False if it is already complete there.

    Raises:
        CatalogueError: If the folder contains anything but a sample, or the arguments are out of range.
    """
    if products < _MIN_PRODUCTS or seed < 0:
        raise CatalogueError(
            f"products is {products} and seed is {seed}; use at least {_MIN_PRODUCTS} products and a seed of at least 0"
        )
    parameters = json.dumps({"version": _VERSION, "products": products, "seed": seed})
    if is_sample(folder) and is_challenge(folder) and (folder / MARKER).read_text() == parameters:
        return False
    _clear(folder)
    (folder / MARKER).write_text(parameters)
    # These products have no label, and none is of the new season.
    unlabelled = range(products, products + products // _UNLABELLED)
    _write_products(folder, UNLABELLED_FILE, "image_test", seed, _offers(seed, unlabelled, unlabelled.stop))
    labels: list[int] = []

    def labelled() -> Iterator[tuple[int, Offer]]:
        for number, made in _offers(seed, range(products), season_start(products)):
            labels.append(made.label)
            if number % _PROGRESS_INTERVAL == 0 or number == products - 1:
                progress("make sample", number + 1, products)
            yield number, made

    pending = f"{PRODUCT_FILE}.part"
    _write_products(folder, pending, "image_train", seed, labelled())
    _write_rows(folder / LABEL_FILE, ("", "prdtypecode"), enumerate(labels))
    # Renamed last, so that an interrupted sample is not taken for a complete one.
    (folder / pending).rename(folder / PRODUCT_FILE)
    return True


def is_sample(folder: Path) -> bool:
    """Return whether a folder contains a sample catalogue."""
    return (folder / MARKER).is_file()


def seasonal_ids(folder: Path) -> frozenset[int]:
    """Return the product ids of the new season of a sample catalogue."""
    parameters = json.loads((folder / MARKER).read_text())
    return frozenset(
        _ids(parameters["seed"], number)[0]
        for number in range(season_start(parameters["products"]), parameters["products"])
    )


def _clear(folder: Path) -> None:
    found = sorted(entry.name for entry in folder.iterdir() if entry.name[0] != ".") if folder.exists() else []
    if found and not is_sample(folder):
        listed = ", ".join(found[:8])
        raise CatalogueError(
            f"{str(folder)!r} is not empty and is not a sample; it holds: {listed}; choose another folder"
        )
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
    """Return product id and image id, both ascending with the number."""
    random = Random(f"{seed}/{number}/ids")  # noqa: S311 - repeatable, not secret
    return 400_000_000 + number * 11 + random.randrange(11), 1_000_000_000 + number * 7 + random.randrange(7)
