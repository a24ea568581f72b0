"""Server codec of V2 over gRPC.

Requests are decoded here, because the SDK's `InferRequest.from_grpc` neither checks shapes and datatypes nor names the
row of an invalid element. Responses are encoded by the SDK.
"""

import uuid
from typing import Any

from kserve import InferOutput, InferResponse

from inference.http.problems import InvalidTensor
from inference.oip.rest_codec import unpack_bytes
from inference.oip.tensors import NUMPY_TYPES
from inference.oip.types import (
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
from product_classifier.errors import InvalidInput
from product_classifier.observability import request_id

MAX_QUOTED_DIMENSIONS = 6


def decode(message: Any, signature: Signature) -> ModelRequest:
    """Decode a ModelInferRequest with its tensors in `raw_input_contents` or in `contents`."""
    signature.check_output_count(len(message.outputs))
    packed = message.raw_input_contents
    if packed and len(packed) != len(message.inputs):
        raise InvalidInput(f"raw_input_contents has {len(packed)} tensors, inputs has {len(message.inputs)}")
    raw: dict[str, list[bytes]] = {}
    for index, tensor in enumerate(message.inputs):
        signature.input(tensor.name)
        check_datatype(tensor.name, tensor.datatype)
        if tensor.name in raw:
            raise InvalidTensor("is given twice", tensor=tensor.name)
        if packed and tensor.HasField("contents"):
            raise InvalidTensor("has both contents and raw_input_contents; send one", tensor=tensor.name)
        values = _elements(tensor, packed[index] if packed else None, signature.max_rows)
        if len(tensor.shape) > MAX_QUOTED_DIMENSIONS:  # before an object is made for each
            raise InvalidTensor(f"shape has {len(tensor.shape)} dimensions, not [n]", tensor=tensor.name)
        check_shape(tensor.name, list(tensor.shape), len(values))
        raw[tensor.name] = values
    return validate_request(
        signature,
        raw,
        id=short_text(message.id, "id"),
        release=short_text(_release(message), "parameter 'release'"),
        version=message.model_version,
        outputs=tuple(OutputSelection(output.name) for output in message.outputs),
    )


def _release(message: Any) -> str:
    return message.parameters["release"].string_param if "release" in message.parameters else ""


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
        datatype = "INT64" if values.dtype.kind == "i" else "FP32"
        output = InferOutput(name, list(values.shape), datatype)
        output.set_data_from_numpy(values.astype(NUMPY_TYPES[datatype], copy=False))
        outputs.append(output)
    response_id = request.id or request_id.get() or uuid.uuid4().hex
    parameters = response.all_parameters()
    return InferResponse(response_id, model, outputs, response.version, parameters=parameters).to_grpc()
