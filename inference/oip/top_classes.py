"""Responses of models with many categories: the most probable ones of each row, and their codes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from inference.http.problems import public_message
from inference.oip.types import Array, ModelRequest, ModelResponse, Signature
from product_classifier.errors import InvalidInput
from product_classifier.limits import FULL_VECTOR_CLASSES
from product_classifier.top_probabilities import top_columns


def most_probable(response: ModelResponse, request: ModelRequest, signature: Signature) -> ModelResponse:
    """Return a response with the k most probable classes, outputs `[n, k]` with their codes beside.

    A response of at most `FULL_VECTOR_CLASSES` categories is returned as it is.

    Raises:
        InvalidInput: If the codes are requested of such a response.
    """
    if len(response.codes) > FULL_VECTOR_CLASSES:
        outputs: dict[str, Array] = {}
        for known in signature.outputs:
            values = response.outputs[known.name]
            if known.codes:
                columns = top_columns(values, request.top_k)
                outputs[known.codes] = response.codes[columns]
                values = np.take_along_axis(values, columns, axis=1)
            outputs[known.name] = values
        return replace(response, outputs=outputs)
    for requested in request.outputs:
        if requested.name not in response.outputs:
            raise InvalidInput(
                f"output {public_message(requested.name)}: is that of models with more than {FULL_VECTOR_CLASSES}"
                " categories; request 'probabilities', the model's metadata has the codes in their order"
            )
    return response


def expand(values: Array, codes: Array, positions: Mapping[Any, int]) -> Array:
    """Return probabilities `[n, classes]` of the most probable ones `[n, k]`; the others are 0.

    Args:
        values: Probabilities `[n, k]`.
        codes: Their codes `[n, k]`, as V2 shows them.
        positions: Column of each code, as V2 shows it.

    Raises:
        ValueError: If the shapes differ, or a code is unknown.
    """
    if values.shape != codes.shape or values.ndim != 2:
        raise ValueError(f"probabilities have shape {values.shape}, their codes {codes.shape}")
    try:
        columns = np.array([[positions[code] for code in row] for row in codes.tolist()], np.int64)
    except KeyError as error:
        raise ValueError(f"code {error} is that of no category") from error
    found = np.zeros((len(values), len(positions)), np.float32)
    np.put_along_axis(found, columns.reshape(values.shape), values, axis=1)
    return found
