"""Requests and responses of `:explain` (KServe V1), and their JSON.

A request is one of `:predict` with the parameters `code` (one category for all instances, or a list of one each;
default: the predicted ones), `heat_map` and `predictions` (whether the response has the outputs of `:predict` as well).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from inference.http.problems import public_message
from inference.oip.rest_codec import decode_instances, predictions_of
from inference.oip.types import ModelRequest, ModelResponse, Parameter, Signature
from inference.oip.v2_parameters import flag
from product_classifier.errors import InvalidInput
from product_classifier.limits import EXPLANATION_PRODUCTS
from product_classifier.taxonomy import Codes
from product_classifier.taxonomy.stored_codes import from_stored


@dataclass(frozen=True)
class ExplainRequest:
    """Products to explain, each for its entry in `codes`; the predicted categories if that is empty."""

    products: ModelRequest
    codes: Codes = ()
    heat_map: bool = False
    predictions: bool = False

    @property
    def rows(self) -> int:
        """Number of products."""
        return self.products.rows

    def positions(self, known: Codes, predicted: Sequence[int]) -> list[int]:
        """Return the position in `known` of each category to explain, by default `predicted`.

        Raises:
            InvalidInput: If a code is not known.
        """
        if not self.codes:
            return list(predicted)
        for code in self.codes:
            if code not in known:
                raise InvalidInput(
                    f"parameter 'code': {public_message(code)} is no category of this release; its metadata lists them"
                )
        return [known.index(code) for code in self.codes]


@dataclass(frozen=True)
class ExplainResponse:
    """An explanation per product, and the release and bundle version that were explained."""

    explanations: Sequence[Mapping[str, Any]]
    release: str
    version: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    predictions: ModelResponse | None = None


def decode_explain(body: bytes, signature: Signature) -> ExplainRequest:
    """Decode a request; raise InvalidInput, of which InvalidTensor names input and row."""
    document, products = decode_instances(body, signature)
    if products.rows > EXPLANATION_PRODUCTS:
        raise InvalidInput(
            f"'instances' has {products.rows} rows; at most {EXPLANATION_PRODUCTS} are explained at once"
        )
    parameters = document.get("parameters") or {}
    flags = {name: flag(parameters, name, default=False) for name in ("heat_map", "predictions")}
    return ExplainRequest(products, _codes(parameters.get("code"), products.rows), **flags)


def encode_explain(response: ExplainResponse) -> bytes:
    """Encode a response."""
    document = {
        "explanations": response.explanations,
        "model_version": response.version,
        "release": response.release,
        **response.parameters,
    }
    if response.predictions is not None:
        document["predictions"] = predictions_of(response.predictions)
    return orjson.dumps(document)


def _codes(value: object, rows: int) -> Codes:
    if value is None:
        return ()
    codes = value if isinstance(value, list) else [value] * rows
    if len(codes) != rows:
        raise InvalidInput(f"parameter 'code': has {len(codes)} codes for {rows} instances; give one, or one for each")
    return tuple(map(_code, codes))


def _code(value: object) -> str:
    try:
        return from_stored(value)
    except ValueError as error:
        raise InvalidInput(f"parameter 'code': {public_message(value)} is not a category code") from error
