"""Server codec of V1 and V2 over HTTP: decode request bodies, encode response bodies."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from inference.http.json_structure import structure_error
from inference.http.problems import InvalidTensor, public_message
from inference.oip.tensors import DATATYPES, ELEMENT_LENGTH, HEADER_LENGTH, NUMPY_TYPES, pack
from inference.oip.types import (
    ID_CHARACTERS,
    UNCHECKED_BYTES,
    ModelRequest,
    ModelResponse,
    OutputSelection,
    Signature,
    check_datatype,
    check_row_count,
    check_shape,
    decode_base64,
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
from product_classifier.images.headers import photo_format
from product_classifier.observability import request_id

V2_PHOTO_ADVICE = (
    f"send it in JSON as base64, or as a binary tensor behind JSON, with the JSON's size in {HEADER_LENGTH}"
)
V1_PHOTO_ADVICE = 'send JSON such as {"instances": [{"image": {"b64": "..."}}]}'


def decode_v2(body: bytes, header_length: str | None, signature: Signature, version: str = "") -> ModelRequest:
    """Decode a V2 request: JSON, or JSON of `header_length` bytes followed by binary tensors."""
    document, raw = decode_columns(body, header_length, signature)
    parameters = _request_parameters(document)
    binary = flag(parameters, "binary_data_output", default=False)
    return validate_request(
        signature,
        raw,
        id=short_text(document.get("id"), "id", ID_CHARACTERS),
        release=short_text(parameters.get("release"), "parameter 'release'"),
        version=version,
        outputs=_requested_outputs(document.get("outputs"), signature, binary=binary),
        binary_outputs=binary,
        timeout_s=timeout_s(parameters) if "timeout" in parameters else 0.0,
        top_k=top_k(parameters),
    )


def decode_columns(
    body: bytes, header_length: str | None, signature: Signature
) -> tuple[dict[str, Any], dict[str, Sequence[Any]]]:
    """Return the JSON of a V2 request, and the elements of its inputs, where photos may be in base64."""
    size = _header_size(header_length, len(body))
    try:
        document = _object(body[:size], signature)
    except InvalidInput as error:
        raise _with_advice(error, body, V2_PHOTO_ADVICE, has_size=header_length is not None) from error
    tensors = document.get("inputs")
    if not isinstance(tensors, list):
        raise InvalidInput(f"'inputs' is {public_message(tensors)}, not a list of tensors")
    tail = memoryview(body)[size:]
    raw: dict[str, Sequence[Any]] = {}
    for tensor in tensors:
        name, values, used = _tensor(tensor, tail, signature)
        if name in raw:
            raise InvalidTensor("is given twice", tensor=name)
        raw[name] = values
        tail = tail[used:]
    if len(tail):
        raise InvalidInput(f"{len(tail)} bytes follow the last tensor")
    return document, raw


def encode_v2(model: str, request: ModelRequest, response: ModelResponse) -> tuple[bytes, int | None]:
    """Encode a V2 response; also return the size of its JSON if binary tensors follow it."""
    outputs, tail = [], []
    for name, values, binary in response.requested_outputs(request):
        datatype = DATATYPES[values.dtype.kind]
        output: dict[str, Any] = {"name": name, "shape": list(values.shape), "datatype": datatype}
        if binary:
            packed = pack(values)
            output["parameters"] = {"binary_data_size": len(packed)}
            tail.append(packed)
        else:
            output["data"] = values.ravel() if datatype in NUMPY_TYPES else values.ravel().tolist()
        outputs.append(output)
    document = {
        "model_name": model,
        "model_version": response.version,
        "id": request.id or request_id.get() or uuid.uuid4().hex,  # the SDK's client requires an id
        "parameters": response.all_parameters(),
        "outputs": outputs,
    }
    head = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join([head, *tail]), len(head)) if tail else (head, None)


def decode_v1(body: bytes, signature: Signature) -> ModelRequest:
    """Decode a V1 request; its instances are objects by input name, or values of the required input."""
    return decode_instances(body, signature)[1]


def decode_instances(body: bytes, signature: Signature) -> tuple[dict[str, Any], ModelRequest]:
    """Return the JSON of a V1 request of any verb, and its instances as a request."""
    try:
        document = _object(body, signature)
    except InvalidInput as error:
        raise _with_advice(error, body, V1_PHOTO_ADVICE) from error
    instances = document.get("instances")
    if not isinstance(instances, list):
        raise InvalidInput(f"'instances' is {public_message(instances)}, not a list")
    if not 1 <= len(instances) <= signature.max_rows:
        raise InvalidInput(f"'instances' has {len(instances)} rows, not 1 to {signature.max_rows}")
    raw: dict[str, list[str | bytes]] = {known.name: [] for known in signature.inputs}
    for row, instance in enumerate(instances):
        named = _instance(instance, row, signature)
        for name, column in raw.items():
            column.append(_v1_value(named.get(name), name, row, signature))
    parameters = _request_parameters(document)
    release = short_text(parameters.get("release"), "parameter 'release'")
    request = validate_request(
        signature,
        raw,
        release=release,
        timeout_s=timeout_s(parameters) if "timeout" in parameters else 0.0,
        top_k=top_k(parameters),
    )
    return document, request


def encode_v1(response: ModelResponse) -> bytes:
    """Encode a V1 response."""
    return orjson.dumps(
        {"predictions": predictions_of(response), "model_version": response.version, **response.all_parameters()}
    )


def predictions_of(response: ModelResponse) -> list[Any]:
    """Return the predictions of V1: rows of the only output, or objects by output name."""
    columns = {name: values.tolist() for name, values in response.outputs.items()}
    rows = list(next(iter(columns.values())))
    if len(columns) > 1:
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return rows


def _request_parameters(document: Mapping[str, Any]) -> dict[str, Any]:
    parameters = _mapping(document.get("parameters"), "parameters")
    if parameters:
        check_parameters(parameters, OF_REQUESTS)
        check_content_type(parameters, CONTENT_TYPES)
    return parameters


def _tensor(tensor: object, tail: memoryview, signature: Signature) -> tuple[str, Sequence[Any], int]:
    """Return a tensor's name, its elements, and the size of its binary tensor (0 in JSON)."""
    fields = _mapping(tensor, "a tensor in 'inputs'")
    name = fields.get("name")
    if not isinstance(name, str):
        raise InvalidInput(f"a tensor's name is {public_message(name)}, not text")
    known = signature.input(name)
    check_datatype(name, fields.get("datatype"))
    parameters = _mapping(fields.get("parameters"), "the parameters of input", name)
    values: list[str] | list[bytes]
    if "binary_data_size" in parameters:
        used, values = _binary(parameters["binary_data_size"], tail, name, signature.max_rows)
    else:
        used, values = 0, _flat(fields.get("data"), name, 2, signature.max_rows)
    check_shape(name, fields.get("shape"), len(values))
    if len(parameters) > ("binary_data_size" in parameters):
        return name, decode_input(values, parameters, known), used
    return name, values, used


def _binary(size: object, tail: memoryview, name: str, max_rows: int) -> tuple[int, list[bytes]]:
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(tail):
        raise InvalidTensor(f"binary_data_size is {public_message(size)}, but {len(tail)} bytes are there", tensor=name)
    return size, unpack_bytes(tail[:size], name, max_rows)


def unpack_bytes(packed: memoryview, name: str, max_rows: int) -> list[bytes]:
    """Return the elements of a binary BYTES tensor: each follows its length, four bytes little-endian."""
    values: list[bytes] = []
    at = 0
    while at < len(packed):
        if len(values) == max_rows:
            raise InvalidTensor(f"has more than {max_rows} rows", tensor=name)
        if at + 4 > len(packed):
            raise InvalidTensor(f"ends inside a length at byte {at}", tensor=name, row=len(values))
        (length,) = ELEMENT_LENGTH.unpack_from(packed, at)
        at += 4
        if at + length > len(packed):
            raise InvalidTensor(f"announces {length} bytes, {len(packed) - at} are left", tensor=name, row=len(values))
        values.append(bytes(packed[at : at + length]))
        at += length
    return values


def _flat(data: object, name: str, depth: int, max_rows: int) -> list[str]:
    """Return the elements of JSON data, which V2 allows to be nested."""
    if not isinstance(data, list):
        raise InvalidTensor(f"data is {public_message(data)}, not a list", tensor=name)
    if len(data) > max_rows:
        check_row_count(name, len(data), max_rows)
    values: list[str] = []
    for row, element in enumerate(data):
        if isinstance(element, list) and depth > 1:
            values += _flat(element, name, depth - 1, max_rows)
        elif isinstance(element, str):
            values.append(element)
        else:
            raise InvalidTensor(f"{public_message(element)} is not a string", tensor=name, row=row)
    return values


def _instance(instance: object, row: int, signature: Signature) -> Mapping[str, Any]:
    bare = next((known for known in signature.inputs if known.required), None)
    if isinstance(instance, str) and bare:
        return {bare.name: instance}
    if not isinstance(instance, dict):
        raise InvalidInput(f"instance {row} is {public_message(instance)}, not an object")
    if bare and bare.photo and instance.keys() == {"b64"}:
        return {bare.name: instance}
    for name in instance:
        if name not in {known.name for known in signature.inputs}:
            expected = ", ".join(known.name for known in signature.inputs)
            raise InvalidTensor(f"this model has no such input; it reads {expected}", tensor=name, row=row)
    return instance


def _v1_value(value: object, name: str, row: int, signature: Signature) -> str | bytes:
    known = signature.input(name)
    if value is None and known.required:
        raise InvalidTensor("is missing", tensor=name, row=row)
    if isinstance(value, dict) and value.keys() == {"b64"}:
        value = decode_base64(value["b64"], name, row) if isinstance(value["b64"], str) else value
    if value is None:
        return b""
    if not isinstance(value, str | bytes):
        raise InvalidTensor(f"{public_message(value)} is not text", tensor=name, row=row)
    return value


def _requested_outputs(outputs: object, signature: Signature, *, binary: bool) -> tuple[OutputSelection, ...]:
    if outputs is None:
        return ()
    if not isinstance(outputs, list):
        raise InvalidInput(f"'outputs' is {public_message(outputs)}, not a list")
    signature.check_output_count(len(outputs))
    requested = []
    for output in outputs:
        fields = _mapping(output, "an output in 'outputs'")
        parameters = _mapping(fields.get("parameters"), "the parameters of an output")
        name = short_text(fields.get("name"), "an output's name")
        if parameters:
            check_output_parameters(parameters, name)
        requested.append(OutputSelection(name, flag(parameters, "binary_data", default=binary)))
    return tuple(requested)


def _with_advice(error: InvalidInput, body: bytes, photo_advice: str, *, has_size: bool = True) -> InvalidInput:
    """Return the error of a body that is not JSON, with what to do if a photo or a header is the reason."""
    if kind := photo_format(body):
        return InvalidInput(f"{error}; the body is a {kind}: {photo_advice}")
    if not has_size and b"binary_data_size" in body:
        return InvalidInput(f"{error}; send the size of the JSON before the binary tensors in {HEADER_LENGTH}")
    return error


def _header_size(header_length: str | None, available: int) -> int:
    if header_length is None:
        return available
    plausible = header_length.isascii() and header_length.isdigit() and len(header_length) <= len(str(available))
    if not plausible or int(header_length) > available:
        raise InvalidInput(
            f"Inference-Header-Content-Length is {public_message(header_length)}, the body has {available} bytes"
        )
    return int(header_length)


def _object(body: bytes, signature: Signature) -> dict[str, Any]:
    if len(body) > UNCHECKED_BYTES and (reason := structure_error(body, max_values=signature.max_values)) is not None:
        raise InvalidInput(f"the body is not JSON within the limits: {reason}; send at most {signature.max_rows} rows")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"the body is not JSON: {error.msg} at character {error.pos}") from error
    if not isinstance(document, dict):
        raise InvalidInput(f"the body is {public_message(document)}, not a JSON object")
    return document


def _mapping(value: object, what: str, name: str | None = None) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        named = what if name is None else f"{what} {public_message(name)}"
        raise InvalidInput(f"{named} is {public_message(value)}, not an object")
    return value
