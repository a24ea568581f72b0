"""The modalities of each row of a request, and the columns that each predictor receives."""

from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from inference.fusion_transformer.predictor_client import IMAGE, TEXT, Columns
from inference.http.problems import InvalidTensor
from inference.oip.types import ModelRequest
from product_classifier.errors import InvalidProduct
from product_classifier.text.normalization import has_words

Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class ProductRows:
    """A request, and by modality which of its rows have it."""

    request: ModelRequest
    has: dict[str, Rows]

    def columns(self, modality: str) -> Columns:
        """Return the inputs of a modality's predictor, for the rows that have the modality."""
        rows = self.has[modality].tolist()
        if modality == IMAGE:
            return {"image": list(compress(self.request.photos("image"), rows))}
        return {name: list(compress(self.request.texts(name), rows)) for name in ("designation", "description")}


def modality_rows(request: ModelRequest) -> dict[str, Rows]:
    """Return by modality which rows have it; raise InvalidProduct for a row that has none."""
    designations, descriptions = request.texts("designation"), request.texts("description")
    fields = zip(designations, descriptions, strict=True)
    text = [has_words(designation, description) for designation, description in fields]
    image = [bool(photo) for photo in request.photos("image")]
    for row, found in enumerate(zip(text, image, strict=True)):
        if not any(found):
            raise InvalidProduct(f"row {row} has neither text nor image")
    return {TEXT: np.array(text), IMAGE: np.array(image)}


def at_request_row(error: BaseException, rows: Rows) -> BaseException:
    """Return a predictor's error with the row of the request; a predictor counts the rows it received."""
    if isinstance(error, InvalidTensor) and error.row is not None and error.row < rows.sum():
        return InvalidTensor(error.reason, tensor=error.tensor, row=int(np.flatnonzero(rows)[error.row]))
    return error
