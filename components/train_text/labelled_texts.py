"""The texts that the text model is trained on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.shared.out_of_fold import folds_of, read_labelled
from product_classifier.text.normalization import normalize


@dataclass(frozen=True)
class Texts:
    """Products that have text and a category of the model."""

    product_ids: NDArray[Any]
    prepared: list[str]
    labels: NDArray[np.int64]
    """Columns of the categories."""
    folds: NDArray[np.int64]
    held_out: NDArray[np.bool_]
    """Whether the product is of the validation split."""


def read_texts(
    train: Path,
    validation: Path,
    codes: Sequence[str],
    prepare: Callable[[str, str], str] = normalize,
    seed: int = 27,
) -> Texts:
    """Return the products of both splits that have text and a category of `codes`."""
    products, held_out = read_labelled(train, validation)
    folds = folds_of(products, seed)
    texts = [prepare(*text) for text in zip(products["designation"], products["description"], strict=True)]
    kept = products["code"].isin(codes).to_numpy() & np.array([bool(text) for text in texts], np.bool_)
    positions = {code: position for position, code in enumerate(codes)}
    return Texts(
        products["product_id"].to_numpy()[kept],
        [texts[row] for row in np.flatnonzero(kept)],
        np.array([positions[code] for code in products["code"][kept]], np.int64),
        folds[kept],
        held_out[kept],
    )
