"""Bounds on a gRPC ModelInferRequest, checked before protobuf builds an object for each of its fields.

16 MiB of empty elements take protobuf 0.2 to 1.3 s of the event loop and up to 1 GB.
"""

from collections.abc import Mapping

MessageType = str

NESTED: Mapping[MessageType, Mapping[int, MessageType]] = {
    "ModelInferRequest": {5: "InferInputTensor", 6: "InferRequestedOutputTensor"},
    "InferInputTensor": {5: "InferTensorContents"},
}
"""Fields of each message that are messages with repeated fields (open_inference_grpc.proto)."""
PACKED: Mapping[MessageType, frozenset[int]] = {
    "InferInputTensor": frozenset({3}),
    "InferTensorContents": frozenset(range(1, 8)),
}
"""Fields that hold numbers without a tag for each."""
FIXED_BYTES = {1: 8, 5: 4}
VARINT, LENGTH_DELIMITED = 0, 2


def message_error(data: bytes, max_fields: int) -> str | None:
    """Return how a ModelInferRequest exceeds a bound; None if it does not, or is malformed before."""
    pending: list[tuple[MessageType, int, int]] = [("ModelInferRequest", 0, len(data))]
    fields = 0
    try:
        while pending:
            message, at, end = pending.pop()
            nested, packed = NESTED.get(message, {}), PACKED.get(message, frozenset())
            while at < end:
                tag, at = _varint(data, at)
                number, wire_type = tag >> 3, tag & 7
                fields += 1
                if wire_type == LENGTH_DELIMITED:
                    length, at = _varint(data, at)
                    if number in nested:
                        pending.append((nested[number], at, min(at + length, end)))
                    elif number in packed:
                        fields += length
                    at += length
                elif wire_type == VARINT:
                    _, at = _varint(data, at)
                elif wire_type in FIXED_BYTES:
                    at += FIXED_BYTES[wire_type]
                else:
                    return f"a field of wire type {wire_type} at byte {at}"
                if fields > max_fields:
                    return f"more than {max_fields} fields"
    except IndexError:  # protobuf refuses the message
        return None
    return None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number and the position after it."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80 or shift > 63:
            return value, at
