"""What the single models say about the products of a split."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.shared import progress
from product_classifier.releases.release import load_image, load_text
from product_classifier.taxonomy import CODES, index_of
from product_classifier.text.normalization import normalize

_BATCH = 256


@dataclass(frozen=True)
class Opinions:
    """Probabilities `[n, classes]` of both models, who could see what, and the true positions `[n]`."""

    products: pd.DataFrame
    text: NDArray[np.float32]
    image: NDArray[np.float32]
    has_text: NDArray[np.bool_]
    has_image: NDArray[np.bool_]
    labels: NDArray[np.int64]


def ask(split: Path, text: Path, image: Path) -> Opinions:
    """Let the two bundles classify the products of `split` that have a code, and words or a photo."""
    products = pd.read_parquet(split)
    has_words = [bool(normalize(*row)) for row in zip(products["designation"], products["description"], strict=True)]
    products = products.assign(has_text=has_words, has_image=products["image_path"] != "")
    usable = products["code"].isin(CODES) & (products["has_text"] | products["has_image"])
    products = products[usable].reset_index(drop=True)
    said = np.full((2, len(products), len(CODES)), 1 / len(CODES), np.float32)
    text_model, _ = load_text(text)
    said[0] = text_model.probabilities(list(products["designation"]), list(products["description"]))
    image_model, _ = load_image(image)
    tell, shown = progress.on_stderr(), np.flatnonzero(products["has_image"])
    for at in range(0, len(shown), _BATCH):
        rows = shown[at : at + _BATCH]
        said[1, rows] = image_model.probabilities([Path(path).read_bytes() for path in products["image_path"][rows]])
        tell("photos classified", at + len(rows), len(shown))
    return Opinions(
        products,
        said[0],
        said[1],
        products["has_text"].to_numpy(bool),
        products["has_image"].to_numpy(bool),
        np.array([index_of(code) for code in products["code"]], np.int64),
    )
