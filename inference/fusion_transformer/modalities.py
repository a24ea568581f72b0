"""The products of a request: which rows have text, which a photo, and what each predictor is sent."""

from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from inference.fusion_transformer.predictor_client import IMAGE, TEXT, Columns
from inference.http.problems import InvalidTensor
from inference.oip.types import InferenceRequest
from product_classifier.errors import InvalidProduct

Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class ProductRows:
    """The rows of a request, and what each has."""

    request: InferenceRequest
    has: dict[str, Rows]

    def columns(self, modality: str) -> Columns:
        """Return the rows that have a modality, as its predictor reads them."""
        rows = self.has[modality].tolist()
        if modality == IMAGE:
            return {"image": list(compress(self.request.photos("image"), rows))}
        return {name: list(compress(self.request.texts(name), rows)) for name in ("designation", "description")}


def modality_rows(request: InferenceRequest) -> dict[str, Rows]:
    """Return which rows have text and which a photo; every row has one of them."""
    titles, bodies = request.texts("designation"), request.texts("description")
    text = [bool(title.strip() or body.strip()) for title, body in zip(titles, bodies, strict=True)]
    image = [bool(photo) for photo in request.photos("image")]
    for row, found in enumerate(zip(text, image, strict=True)):
        if not any(found):
            raise InvalidProduct(f"row {row} has neither text nor image")
    return {TEXT: np.array(text), IMAGE: np.array(image)}


def at_request_row(error: BaseException, rows: Rows) -> BaseException:
    """Count the row of an error as the caller did: a predictor saw only the rows that have its modality."""
    if isinstance(error, InvalidTensor) and error.row is not None and error.row < rows.sum():
        return InvalidTensor(error.reason, tensor=error.tensor, row=int(np.flatnonzero(rows)[error.row]))
    return error
