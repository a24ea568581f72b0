"""Responses of a predictor that the fusion accepts and refuses."""

import numpy as np
import pytest

from inference.fusion_transformer.http_predictor import prediction_in
from inference.oip.client import decode_response
from inference.oip.rest_codec import encode_v2
from inference.oip.types import ModelRequest, ModelResponse
from product_classifier.errors import ModelUnavailable


def probabilities_of(values: np.ndarray) -> np.ndarray:
    response = ModelResponse({"probabilities": values.astype(np.float32)}, "r-1", "v-1")
    body, size = encode_v2("m", ModelRequest(len(values), {}, binary_outputs=True), response)
    return prediction_in("m", decode_response(body, str(size)), 1, 2).probabilities


def test_the_probabilities_of_the_requested_rows_are_accepted() -> None:
    np.testing.assert_array_equal([[0.25, 0.75]], probabilities_of(np.array([[0.25, 0.75]])))


@pytest.mark.parametrize(
    "values",
    [np.zeros((1, 3)), np.zeros((2, 2)), np.array([[np.nan, 1.0]]), np.array([[np.inf, 0.0]])],
    ids=["classes", "rows", "NaN", "infinity"],
)
def test_probabilities_of_another_shape_or_not_finite_make_the_predictor_unavailable(values: np.ndarray) -> None:
    with pytest.raises(ModelUnavailable, match="not \\(1, 2\\) finite probabilities"):
        probabilities_of(values)


def test_a_response_without_probabilities_makes_the_predictor_unavailable() -> None:
    body, _ = encode_v2("m", ModelRequest(1, {}), ModelResponse({"code": np.array([10])}, "r-1", "v-1"))

    with pytest.raises(ModelUnavailable, match="no 'probabilities'"):
        prediction_in("m", decode_response(body), 1, 2)
