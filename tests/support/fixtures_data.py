"""Fixtures: a small sample catalogue with its splits, once per session, and raw folders."""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
from filelock import FileLock

from components.prepare_catalogue import step as prepare_catalogue
from components.split_catalogue import step as split_catalogue
from product_classifier.catalogue.challenge.sample import make_sample
from product_classifier.catalogue.splits import SPLITS

PRODUCTS = 600


@pytest.fixture(scope="session")
def sample_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample catalogue with 600 products, in the layout of the challenge; read-only."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with FileLock(shared / "sample.lock"):
        make_sample(shared / "sample" / "raw", PRODUCTS, seed=1)
    return shared / "sample" / "raw"


@pytest.fixture(scope="session")
def splits(sample_raw: Path) -> Path:
    """A folder with train, validation, test and unseen.parquet of the sample catalogue; read-only."""
    folder = sample_raw.parent / "splits"
    with FileLock(sample_raw.parent / "splits.lock"):
        if not (folder / "report.json").exists():
            reports = {name: sample_raw.parent / name for name in ("catalogue", "rejects", "report")}
            prepare_catalogue.run(sample_raw, **reports)
            sides = {side: folder / f"{side}.parquet" for side in SPLITS}
            split_catalogue.run(reports["catalogue"], **sides, report=folder / "report.json")
    return folder


@dataclass
class RawFolder:
    """A raw folder that is written row by row, with any defects."""

    folder: Path
    products: str = "X_train_update.csv"
    labels: str = "Y_train_CVw08PX.csv"
    photos: str = "images/image_train"
    header: Sequence[str] = ("", "designation", "description", "productid", "imageid")
    encoding: str = "utf-8"
    _rows: list[Sequence[object]] = field(default_factory=list)
    _codes: list[tuple[object, object]] = field(default_factory=list)

    def add(self, designation: str = "", description: str = "", code: object = 10, photo: bytes | None = None) -> int:
        """Add a valid product; return its line number."""
        number = len(self._rows)
        self.row(number, designation, description, 1000 + number, 2000 + number)
        self._codes.append((number, code))
        if photo is not None:
            self.photo(f"image_{2000 + number}_product_{1000 + number}.jpg", photo)
        return number + 2

    def row(self, *fields: object) -> None:
        """Add a row to the products without a label."""
        self._rows.append(fields)

    def label(self, row: object, code: object) -> None:
        """Add a row to the labels."""
        self._codes.append((row, code))

    def photo(self, name: str, data: bytes) -> None:
        """Write a photo to the folder of photos."""
        folder = self.folder / self.photos
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)

    def write(self) -> Path:
        """Write the two CSV files; return the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files = ((self.products, self.header, self._rows), (self.labels, ("", "prdtypecode"), self._codes))
        for name, header, rows in files:
            with (self.folder / name).open("w", encoding=self.encoding, newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([header, *rows])
        return self.folder


@pytest.fixture
def raw(tmp_path: Path) -> RawFolder:
    """An empty raw folder."""
    return RawFolder(tmp_path / "raw")


def jpeg(shade: int = 128) -> bytes:
    """Return a photo of one shade of gray; equal shades give equal bytes."""
    done, encoded = cv2.imencode(".jpg", np.full((40, 40, 3), shade, np.uint8))
    assert done
    return encoded.tobytes()
