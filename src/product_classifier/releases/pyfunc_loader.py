"""MLflow `pyfunc` of the registered models: a data frame of products to one of predictions.

MLflow imports the module that a model names as its loader and calls `_load_pyfunc`, so nothing is pickled and this
module needs no MLflow. The model's data is a folder with the `taxonomy/` of a release and the bundle, or, for the
fusion, the whole release.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from product_classifier.catalogue.challenge.earlier_versions import earlier_taxonomy
from product_classifier.errors import InvalidProduct
from product_classifier.probabilities import Floats
from product_classifier.releases.release import MANIFEST, load_fusion, load_image, load_text
from product_classifier.taxonomy import Taxonomy
from product_classifier.taxonomy.folder import FOLDER, read_taxonomy
from product_classifier.text.normalization import has_words

T = TypeVar("T")
Classify = Callable[[pd.DataFrame], Floats]


class ReleasedModel:
    """A model of a release, with the method `predict` that MLflow calls."""

    def __init__(self, classify: Classify, taxonomy: Taxonomy) -> None:
        self._classify = classify
        self._taxonomy = taxonomy

    def predict(self, products: pd.DataFrame) -> pd.DataFrame:
        """Return `code`, `probability` and `probabilities` of each product.

        `probabilities` are in the order of the codes of the taxonomy.

        Args:
            products: The columns `designation`, `description` and `image` (the bytes of a photo file), as far as the
                model reads them; a missing column or value is an absent modality.

        Raises:
            InvalidProduct: If a product has no modality that the model reads.
            InvalidImage: If a photo cannot be decoded.
        """
        probabilities = self._classify(products)
        best = probabilities.argmax(axis=1)
        return pd.DataFrame(
            {
                "code": [self._taxonomy.to_json_code(self._taxonomy.codes[position]) for position in best],
                "probability": probabilities.max(axis=1),
                "probabilities": list(probabilities),
            },
            index=products.index,
        )


def _load_pyfunc(path: str) -> ReleasedModel:
    """Verify and load the model in a folder; called by MLflow.

    Raises:
        BundleRefused: If a bundle is invalid.
    """
    folder = Path(path)
    taxonomy = read_taxonomy(folder / FOLDER) if (folder / FOLDER).is_dir() else earlier_taxonomy()
    if (folder / MANIFEST).is_file():
        return ReleasedModel(_fusion(folder), taxonomy)
    return ReleasedModel(_text(folder) if (folder / "text").is_dir() else _image(folder), taxonomy)


def _text(folder: Path) -> Classify:
    model, _ = load_text(folder / "text")
    return lambda products: model.probabilities(_texts(products, "designation"), _texts(products, "description"))


def _image(folder: Path) -> Classify:
    model, _ = load_image(folder / "image")

    def classify(products: pd.DataFrame) -> Floats:
        photos = _photos(products)
        if absent := [row for row, photo in enumerate(photos) if not photo]:
            raise InvalidProduct(f"row {absent[0]}: has no photo; give the bytes of one in the column image")
        return model.probabilities(photos)

    return classify


def _fusion(folder: Path) -> Classify:
    text_model, _ = load_text(folder / "text")
    image_model, _ = load_image(folder / "image")
    fusion, _ = load_fusion(folder / "fusion", text_model.codes)

    def classify(products: pd.DataFrame) -> Floats:
        designations, descriptions = _texts(products, "designation"), _texts(products, "description")
        photos = _photos(products)
        has_text = np.array([has_words(*row) for row in zip(designations, descriptions, strict=True)], np.bool_)
        has_image = np.array([bool(photo) for photo in photos], np.bool_)
        if neither := np.flatnonzero(~(has_text | has_image)).tolist():
            raise InvalidProduct(f"row {neither[0]}: has neither text nor image; give one of them")
        text, image = (np.zeros((len(products), len(fusion.codes)), np.float32) for _ in range(2))
        if has_text.any():
            rows = np.flatnonzero(has_text)
            text[rows] = text_model.probabilities(_at(designations, rows), _at(descriptions, rows))
        if has_image.any():
            rows = np.flatnonzero(has_image)
            image[rows] = image_model.probabilities(_at(photos, rows))
        return fusion.combine(text, image, has_text, has_image)

    return classify


def _at(values: list[T], rows: NDArray[np.intp]) -> list[T]:
    return [values[row] for row in rows]


def _texts(products: pd.DataFrame, column: str) -> list[str]:
    return [value if isinstance(value, str) else "" for value in _values(products, column)]


def _photos(products: pd.DataFrame) -> list[bytes]:
    return [value if isinstance(value, bytes) else b"" for value in _values(products, "image")]


def _values(products: pd.DataFrame, column: str) -> list[object]:
    return products[column].tolist() if column in products else [None] * len(products)
