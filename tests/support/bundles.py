"""Valid bundles without a model, and the arguments of `register`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from components.register import step
from product_classifier.bundles.bundle import KINDS, write_manifest
from product_classifier.catalogue.challenge import CHALLENGE


def sealed_bundles(folder: Path, mark: str = "") -> list[Path]:
    """Return a text, an image and a fusion bundle whose content depends on `mark`."""
    for kind in KINDS:
        (folder / kind).mkdir(parents=True)
        (folder / kind / "model.json").write_text(json.dumps({"mark": mark}))
        write_manifest(folder / kind, kind, None, {}, CHALLENGE.codes)
    return [folder / kind for kind in KINDS]


@dataclass(frozen=True)
class Place:
    """The outputs of trainings, store, registry and rollout below one folder."""

    root: Path

    @property
    def store(self) -> str:
        return f"file://{self.root}/store"

    @property
    def tracking_uri(self) -> str:
        return f"sqlite:///{self.root}/mlflow.db"

    @property
    def rollout(self) -> str:
        return f"file://{self.root}/releases"

    def trained(self, name: str, weighted_f1: float, products: str = "a") -> Mapping[str, Any]:
        """Write the outputs of a training; return the arguments of `register`."""
        folder = self.root / name
        text, image, fusion = sealed_bundles(folder, name)
        scores = {"weighted_f1": weighted_f1, "macro_f1": weighted_f1, "items": 3}
        (folder / "metrics.json").write_text(json.dumps({"text": scores, "image": scores, "fusion": scores}))
        (folder / "report.html").write_text("<html></html>")
        write_products(folder / "test.parquet", products)
        return {
            "text": text,
            "image": image,
            "fusion": fusion,
            "metrics": folder / "metrics.json",
            "report": folder / "report.html",
            "test": folder / "test.parquet",
            "release": folder / "release",
            "taxonomy": CHALLENGE,
            "store": self.store,
            "tracking_uri": self.tracking_uri,
            "data_revision": f"d-{products}",
            "git_commit": "0123abc",
        }

    def register(self, name: str, weighted_f1: float, products: str = "a") -> str:
        return step.run(**self.trained(name, weighted_f1, products))


def write_products(path: Path, titles: str, line: int = 2) -> None:
    """Write a hold-out with one product per letter of `titles`."""
    rows = [
        {
            "product_id": number,
            "designation": title,
            "description": "",
            "image_path": str(path),
            "image_sha256": "",
            "code": 10,
            "line": line + number,
        }
        for number, title in enumerate(titles)
    ]
    pd.DataFrame(rows).to_parquet(path)
