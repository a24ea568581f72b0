"""V2 over gRPC: messages to requests, answers to messages."""

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


def read(message: Any, signature: Signature) -> InferenceRequest:
    """Read a ModelInferRequest, its tensors raw or as contents."""
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
            raise InvalidTensor("has contents beside raw_input_contents", tensor=tensor.name)
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


def write(model: str, request: InferenceRequest, answer: InferenceResponse) -> Any:
    """Write a ModelInferResponse, its tensors raw."""
    message = pb.ModelInferResponse(
        model_name=model, model_version=answer.version, id=request.id or request_id.get() or uuid.uuid4().hex
    )
    for key, value in answer.all_parameters().items():
        _set(message.parameters[key], value)
    for name, values, _ in answer.wanted(request):
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
