"""The most probable categories of a response, and the probabilities that a client makes of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.auth_proxy.predictions.fusion_codec import inference_of
from inference.fusion_transformer.http_predictor import prediction_in
from inference.oip.client import DecodedResponse, decode_response
from inference.oip.rest_codec import encode_v2
from inference.oip.top_classes import expand, most_probable
from inference.oip.types import ModelRequest, ModelResponse, OutputTensor, Signature
from product_classifier.errors import ModelUnavailable
from product_classifier.limits import FULL_VECTOR_CLASSES

SIGNATURE = Signature((), (OutputTensor("probabilities", "FP32", "codes"), OutputTensor("code", "")))


def response_of(rows: int, classes: int, seed: int = 0, *, texts: bool = False) -> ModelResponse:
    values = np.random.default_rng(seed).dirichlet(np.ones(classes), rows).astype(np.float32)
    codes = np.array([f"c{one}" for one in range(classes)], object) if texts else np.arange(classes) * 10
    outputs = {"probabilities": values, "code": codes[values.argmax(axis=1)]}
    return ModelResponse(outputs, "r-1", "v-1", codes=codes)


def sent(response: ModelResponse, *, binary: bool) -> ModelResponse:
    """Return the response as a client decodes it."""
    rows = len(response.outputs["code"])
    body, size = encode_v2("m", ModelRequest(rows, {}, binary_outputs=binary), response)
    decoded = decode_response(body, None if size is None else str(size))
    return ModelResponse(decoded.outputs, "r-1", "v-1", decoded.parameters)


@given(
    rows=st.integers(1, 4),
    more=st.integers(1, 60),
    top_k=st.integers(1, 50),
    texts=st.booleans(),
    binary=st.booleans(),
)
def test_a_client_gets_the_probabilities_of_the_most_probable_categories(
    *, rows: int, more: int, top_k: int, texts: bool, binary: bool
) -> None:
    classes = FULL_VECTOR_CLASSES + more
    response = response_of(rows, classes, more, texts=texts)
    request = ModelRequest(rows, {}, top_k=top_k)

    found = sent(most_probable(response, request, SIGNATURE), binary=binary).outputs
    positions = {code: at for at, code in enumerate(response.codes.tolist())}
    dense = expand(found["probabilities"], found["codes"], positions)

    every = response.outputs["probabilities"]
    assert ([top_k] * rows, every.shape) == ((dense > 0).sum(axis=1).tolist(), dense.shape)
    np.testing.assert_array_equal(every[dense > 0], dense[dense > 0])
    assert np.array_equal(every.argmax(axis=1), dense.argmax(axis=1))
    assert found["codes"][:, 0].tolist() == found["code"].tolist()


@pytest.mark.parametrize("classes", [2, 27, 50, 51, FULL_VECTOR_CLASSES])
def test_all_categories_are_returned_up_to_the_limit(classes: int) -> None:
    response = response_of(2, classes)

    assert response is most_probable(response, ModelRequest(2, {}, top_k=3), SIGNATURE)


@pytest.mark.parametrize(
    ("values", "codes", "reason"),
    [
        (np.zeros((1, 2)), np.array([[10, 30]]), "code 30 is that of no category"),
        (np.zeros((1, 2)), np.array([[10]]), "have shape"),
        (np.zeros(2), np.array([10, 20]), "have shape"),
    ],
)
def test_codes_that_do_not_fit_are_refused(values: np.ndarray, codes: np.ndarray, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        expand(values, codes, {10: 0, 20: 1})


def test_the_fusion_refuses_more_candidates_than_a_predictor_may_send() -> None:
    classes = FULL_VECTOR_CLASSES + 1
    response = response_of(1, classes)
    good = sent(most_probable(response, ModelRequest(1, {}), SIGNATURE), binary=True)
    bad = {"probabilities": response.outputs["probabilities"][:, :60], "codes": response.codes[None, :60]}

    assert (1, 50) == prediction_in("m", decoded(good), 1, classes).probabilities.shape
    with pytest.raises(ModelUnavailable, match="finite probabilities"):
        prediction_in("m", decoded(ModelResponse(bad, "r-1", "v-1")), 1, classes)


def test_the_gateway_reads_the_codes_beside_the_probabilities() -> None:
    response = response_of(2, FULL_VECTOR_CLASSES + 1, texts=True)

    inference = inference_of(decoded(most_probable(response, ModelRequest(2, {}), SIGNATURE)), 2)

    assert response.outputs["code"].tolist() == inference.codes["probabilities"][:, 0].tolist()


def decoded(response: ModelResponse) -> DecodedResponse:
    body, size = encode_v2("m", ModelRequest(1, {}, binary_outputs=True), response)
    return decode_response(body, str(size))
