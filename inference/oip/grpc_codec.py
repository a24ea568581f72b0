"""Server codec of V2 over gRPC.

Requests are decoded here, because the SDK's `InferRequest.from_grpc` neither checks shapes and datatypes nor names the
row of an invalid element. Responses are encoded by the SDK.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from kserve import InferOutput, InferResponse

from inference.http.problems import InvalidTensor, public_message
from inference.oip.rest_codec import unpack_bytes
from inference.oip.tensors import DATATYPES, NUMPY_TYPES
from inference.oip.types import (
    ID_CHARACTERS,
    ModelRequest,
    ModelResponse,
    OutputSelection,
    Signature,
    check_datatype,
    check_row_count,
    check_shape,
    short_text,
    validate_request,
)
from inference.oip.v2_parameters import (
    CONTENT_TYPES,
    OF_REQUESTS,
    check_content_type,
    check_output_parameters,
    check_parameters,
    decode_input,
    flag,
    timeout_s,
    top_k,
)
from product_classifier.errors import InvalidInput
from product_classifier.observability import request_id

MAX_QUOTED_DIMENSIONS = 6


def decode(message: Any, signature: Signature) -> ModelRequest:
    """Decode a ModelInferRequest with its tensors in `raw_input_contents` or in `contents`."""
    signature.check_output_count(len(message.outputs))
    packed = message.raw_input_contents
    if packed and len(packed) != len(message.inputs):
        raise InvalidInput(f"raw_input_contents has {len(packed)} tensors, inputs has {len(message.inputs)}")
    raw: dict[str, Sequence[str | bytes]] = {}
    for index, tensor in enumerate(message.inputs):
        known = signature.input(tensor.name)
        check_datatype(tensor.name, tensor.datatype)
        if tensor.name in raw:
            raise InvalidTensor("is given twice", tensor=tensor.name)
        if packed and tensor.HasField("contents"):
            raise InvalidTensor("has both contents and raw_input_contents; send one", tensor=tensor.name)
        values = _elements(tensor, packed[index] if packed else None, signature.max_rows)
        if len(tensor.shape) > MAX_QUOTED_DIMENSIONS:  # before an object is made for each
            raise InvalidTensor(f"shape has {len(tensor.shape)} dimensions, not [n]", tensor=tensor.name)
        check_shape(tensor.name, list(tensor.shape), len(values))
        raw[tensor.name] = decode_input(values, _parameters(tensor), known) if tensor.parameters else values
    parameters = _parameters(message)
    check_parameters(parameters, OF_REQUESTS)
    check_content_type(parameters, CONTENT_TYPES)
    _check_raw(parameters, "binary_data_output")
    return validate_request(
        signature,
        raw,
        id=short_text(message.id, "id", ID_CHARACTERS),
        release=short_text(parameters.get("release"), "parameter 'release'"),
        version=message.model_version,
        outputs=tuple(map(_requested_output, message.outputs)),
        timeout_s=timeout_s(parameters),
        top_k=top_k(parameters),
    )


def _requested_output(output: Any) -> OutputSelection:
    if output.parameters:
        parameters = _parameters(output)
        check_output_parameters(parameters, output.name)
        _check_raw(parameters, "binary_data")
    return OutputSelection(output.name)


def _parameters(message: Any) -> dict[str, Any]:
    """Return the parameters of a request or tensor; raise InvalidInput for a value of a type added by Triton."""
    parameters = {}
    for name, value in message.parameters.items():
        kind = value.WhichOneof("parameter_choice")
        if kind is None:
            raise InvalidInput(f"parameter {public_message(name)}: has no bool, int64 or string; send one of them")
        parameters[name] = getattr(value, kind)
    return parameters


def _check_raw(parameters: Mapping[str, Any], name: str) -> None:
    """Raise InvalidInput for a parameter that requests outputs which are not binary."""
    if not flag(parameters, name, default=True):
        raise InvalidInput(f"parameter {name!r}: is false, but outputs are binary over gRPC; leave it out, or use REST")


def _elements(tensor: Any, packed: bytes | None, max_rows: int) -> list[bytes]:
    if packed is not None:
        return unpack_bytes(memoryview(packed), tensor.name, max_rows)
    elements = tensor.contents.bytes_contents
    if len(elements) > max_rows:  # before an object is made for each
        check_row_count(tensor.name, len(elements), max_rows)
    return list(elements)


def encode(model: str, request: ModelRequest, response: ModelResponse) -> Any:
    """Return a ModelInferResponse with its tensors in `raw_output_contents`."""
    outputs = []
    for name, values, _ in response.requested_outputs(request):
        datatype = DATATYPES[values.dtype.kind]
        output = InferOutput(name, list(values.shape), datatype)
        output.set_data_from_numpy(
            values.astype(NUMPY_TYPES[datatype], copy=False) if datatype in NUMPY_TYPES else values
        )
        outputs.append(output)
    response_id = request.id or request_id.get() or uuid.uuid4().hex
    parameters = response.all_parameters()
    return InferResponse(response_id, model, outputs, response.version, parameters=parameters).to_grpc()
