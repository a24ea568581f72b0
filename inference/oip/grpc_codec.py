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
    check_shape,
    validate_request,
)
from product_classifier.errors import InvalidInput
from product_classifier.observability import request_id


def decode(message: Any, signature: Signature) -> ModelRequest:
    """Decode a ModelInferRequest with its tensors in `raw_input_contents` or in `contents`."""
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
        values = (
            unpack_bytes(memoryview(packed[index]), tensor.name) if packed else list(tensor.contents.bytes_contents)
        )
        check_shape(tensor.name, list(tensor.shape), len(values))
        raw[tensor.name] = values
    return validate_request(
        signature,
        raw,
        id=message.id,
        release=message.parameters["release"].string_param if "release" in message.parameters else "",
        version=message.model_version,
        outputs=tuple(OutputSelection(output.name) for output in message.outputs),
    )


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
