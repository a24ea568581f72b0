"""Server codec of V2 over gRPC: decode ModelInferRequest, encode ModelInferResponse."""

import uuid
from typing import Any

from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from inference.http.problems import InvalidTensor
from inference.oip.rest_codec import unpack_bytes
from inference.oip.tensors import NUMPY_TYPES
from inference.oip.types import (
    InferenceRequest,
    InferenceResponse,
    Parameter,
    RequestedOutput,
    Signature,
    check_datatype,
    check_shape,
    validate_request,
)
from product_classifier.errors import InvalidInput
from product_classifier.observability import request_id


def decode(message: Any, signature: Signature) -> InferenceRequest:
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
        outputs=tuple(RequestedOutput(output.name) for output in message.outputs),
    )


def encode(model: str, request: InferenceRequest, response: InferenceResponse) -> Any:
    """Return a ModelInferResponse with its tensors in `raw_output_contents`."""
    message = pb.ModelInferResponse(
        model_name=model, model_version=response.version, id=request.id or request_id.get() or uuid.uuid4().hex
    )
    for key, value in response.all_parameters().items():
        _set(message.parameters[key], value)
    for name, values, _ in response.requested_outputs(request):
        datatype = "INT64" if values.dtype.kind == "i" else "FP32"
        message.outputs.add(name=name, datatype=datatype, shape=values.shape)
        message.raw_output_contents.append(values.astype(NUMPY_TYPES[datatype], copy=False).tobytes())
    return message


def _set(parameter: Any, value: Parameter) -> None:
    if isinstance(value, bool):
        parameter.bool_param = value
    elif isinstance(value, int):
        parameter.int64_param = value
    else:
        parameter.string_param = value
