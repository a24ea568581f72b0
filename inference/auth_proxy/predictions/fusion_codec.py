"""Requests to the fusion, and the predictions in its responses."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from inference.auth_proxy.predictions.explanation_schemas import ExplanationView
from inference.auth_proxy.predictions.product_reader import RequestProduct
from inference.oip.client import DecodedResponse, encode_request
from product_classifier.decisions import DEFAULT_THRESHOLD, Decision, decide
from product_classifier.errors import ModelUnavailable
from product_classifier.feedback.records import CategoryProbability
from product_classifier.model_names import FUSION
from product_classifier.validation_messages import described

_CODES = {"probabilities": "codes", "text": "text_codes", "image": "image_codes"}
"""Outputs of the fusion with codes, by the field of `Inference` whose columns they name."""

Probabilities = NDArray[np.float32]
_ANSWERS: TypeAdapter[list[CategoryProbability | None]] = TypeAdapter(list[CategoryProbability | None])
"""The parameter `accepted_at` of a response."""


@dataclass(frozen=True)
class Inference:
    """Probabilities of n products, `[n, classes]` each; None for a model that did not respond.

    Of many categories, those of the most probable ones, `[n, k]`, with their codes.
    """

    probabilities: Probabilities
    text: Probabilities | None
    image: Probabilities | None
    degraded: bool
    release: str
    decisions: Sequence[Decision]
    """Whether each product's prediction is accepted or needs review."""
    accepted_at: Sequence[CategoryProbability | None] = ()
    """For each product, the category above the predicted one that is certain; empty if there is none for any."""
    explanation: ExplanationView | None = None
    """Of the only product, if it was requested."""
    explanation_problem: str = ""
    """Why there is no explanation although it was requested."""
    taxonomy: str = ""
    """Digest of the taxonomy of the release; empty from a fusion of an earlier version."""
    codes: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Codes `[n, k]` of the columns of `probabilities`, `text` and `image`; empty if all categories are there."""


def encode_products(products: Sequence[RequestProduct]) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of the fusion's request for these products, every column a binary tensor."""
    return encode_request(
        {
            "designation": [product.designation.encode() for product in products],
            "description": [product.description.encode() for product in products],
            "image": [product.image for product in products],
        }
    )


def inference_of(response: DecodedResponse, rows: int) -> Inference:
    """Return the predictions in a response of the fusion; raise ModelUnavailable unless there are `rows`."""
    try:
        probabilities = _distribution(response.outputs["probabilities"], rows)
    except (KeyError, ValueError) as error:
        raise ModelUnavailable(f"{FUSION}: the response is invalid: {error}") from error
    codes = {name: response.outputs[output] for name, output in _CODES.items() if output in response.outputs}
    parameters = response.parameters
    responded = set(str(parameters.get("modalities", "text,image")).split(","))
    return Inference(
        probabilities,
        response.outputs.get("text_probabilities") if "text" in responded else None,
        response.outputs.get("image_probabilities") if "image" in responded else None,
        degraded=bool(parameters.get("degraded", False)),
        release=str(parameters.get("release") or response.model_version or "unknown"),
        decisions=_decisions(parameters.get("decision"), probabilities),
        accepted_at=_accepted_at(parameters.get("accepted_at"), rows),
        taxonomy=str(parameters.get("taxonomy", "")),
        codes=codes,
    )


def encode_explain_request(product: RequestProduct) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of the fusion's `:explain` request for a product."""
    instance: dict[str, Any] = {"designation": product.designation, "description": product.description}
    if product.image:
        instance["image"] = {"b64": base64.b64encode(product.image).decode()}
    document = {"instances": [instance], "parameters": {"predictions": True, "heat_map": True}}
    return orjson.dumps(document), {"Content-Type": "application/json"}


def explained_inference(body: bytes) -> Inference:
    """Return prediction and explanation in a response; raise ModelUnavailable if it is invalid."""
    try:
        document = orjson.loads(body)
        (prediction,), (explanation,) = document["predictions"], document["explanations"]
        outputs = {
            name: np.array([prediction[name]], np.float32)
            for name in ("probabilities", "text_probabilities", "image_probabilities")
        } | {name: np.array([prediction[name]], object) for name in _CODES.values() if name in prediction}
        inference = inference_of(DecodedResponse(outputs, document, document["model_version"]), 1)
        return replace(inference, explanation=ExplanationView.model_validate(explanation))
    except (ValueError, KeyError, TypeError) as error:  # pydantic's error is a ValueError
        raise ModelUnavailable(f"{FUSION}: the explanation is invalid ({type(error).__name__})") from error


def _decisions(parameter: object, probabilities: Probabilities) -> Sequence[Decision]:
    """Return a decision per row; by the default threshold if a fusion from before there were decisions responded."""
    found = str(parameter).split(",")
    if len(found) == len(probabilities) and set(found) <= {"accept", "review"}:
        return [decide(accepted=one == "accept") for one in found]
    return [decide(accepted=one > DEFAULT_THRESHOLD) for one in probabilities.max(axis=1).tolist()]


def _accepted_at(parameter: object, rows: int) -> Sequence[CategoryProbability | None]:
    """Return a category above the predicted one per row, or none at all; raise ModelUnavailable if it is malformed."""
    if parameter is None:
        return ()
    try:
        found = _ANSWERS.validate_json(str(parameter))
    except ValidationError as error:
        raise ModelUnavailable(f"{FUSION}: accepted_at is malformed ({described(error)[0][1]})") from error
    if len(found) != rows:
        raise ModelUnavailable(f"{FUSION}: accepted_at has {len(found)} rows, not {rows}")
    return found


def _distribution(probabilities: NDArray[Any], rows: int) -> Probabilities:
    if probabilities.ndim != 2 or probabilities.shape[0] != rows or not np.isfinite(probabilities).all():
        raise ValueError(f"probabilities of shape {probabilities.shape} or not finite")
    return probabilities
