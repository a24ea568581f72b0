"""Parameters that V2 clients know: each is honored, or refused with its name.

They are those of the protocol's and Triton's extensions (binary data, classification, schedule policy, sequences,
shared memory, decoupled responses), of MLServer's codecs, and `release` and `top_k` of this product. Others are
ignored, as the protocol allows. `top_k` changes nothing where all categories are returned.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from inference.http.problems import InvalidTensor, public_message
from inference.oip.types import InputTensor, decode_base64
from product_classifier.errors import InvalidInput
from product_classifier.top_probabilities import CANDIDATES

OF_REQUESTS = frozenset({"binary_data_output", "content_type", "release", "timeout", "top_k"})
OF_INPUTS = frozenset({"binary_data_size", "content_type"})
OF_OUTPUTS = frozenset({"binary_data", "content_type"})

_NO_SHARED_MEMORY = "shared memory is not supported; send and receive tensors in the request and response"
_NO_SEQUENCES = "the models keep no state between requests; leave it out"
UNSUPPORTED: Mapping[str, tuple[tuple[object, ...], str]] = {
    "shared_memory_region": ((), _NO_SHARED_MEMORY),
    "shared_memory_offset": ((), _NO_SHARED_MEMORY),
    "shared_memory_byte_size": ((), _NO_SHARED_MEMORY),
    "classification": (
        (0,),
        "labels are not returned as text; request 'probabilities', the model's metadata has the codes in their order",
    ),
    "sequence_id": ((0, ""), _NO_SEQUENCES),
    "sequence_start": ((False,), _NO_SEQUENCES),
    "sequence_end": ((False,), _NO_SEQUENCES),
    "priority": ((0,), "requests have no priority; leave it out"),
    "triton_enable_empty_final_response": ((False,), "a request has one response; leave it out"),
}
"""Values that are accepted because they change nothing, and why others are refused."""
CONTENT_TYPES = ("base64", "np", "pd", "str")
"""MLServer's codecs of BYTES tensors: all but `base64` are the elements as they are."""
OUTPUT_CONTENT_TYPES = ("np",)
MICROSECONDS = 1e-6
LONGEST_TIMEOUT_S = 3600.0


def check_parameters(parameters: Mapping[str, Any], honored: frozenset[str], where: str = "") -> None:
    """Raise InvalidInput for a known parameter that is not honored; `where` is like " of input 'x'"."""
    if honored.issuperset(parameters):
        return
    for name, value in parameters.items():
        if name in honored:
            continue
        if name in UNSUPPORTED:
            neutral, reason = UNSUPPORTED[name]
            if value not in neutral:
                raise InvalidInput(f"parameter {name!r}{where}: {reason}")
        for owner, names in (("the request", OF_REQUESTS), ("an input", OF_INPUTS), ("an output", OF_OUTPUTS)):
            if name in names:
                raise InvalidInput(f"parameter {name!r}{where}: is one of {owner}; send it there")


def flag(parameters: Mapping[str, Any], name: str, *, default: bool, where: str = "") -> bool:
    """Return a parameter that is true or false."""
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise InvalidInput(f"parameter {name!r}{where}: is {public_message(value)}; send true or false")
    return value


def timeout_s(parameters: Mapping[str, Any]) -> float:
    """Return the parameter `timeout`, in microseconds, as seconds; 0 without one."""
    value = parameters.get("timeout", 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidInput(f"parameter 'timeout': is {public_message(value)}; send microseconds, 0 for no limit")
    return min(value * MICROSECONDS, LONGEST_TIMEOUT_S)


def top_k(parameters: Mapping[str, Any]) -> int:
    """Return the parameter `top_k`, the number of classes to return where there are many."""
    value = parameters.get("top_k", CANDIDATES)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= CANDIDATES:
        raise InvalidInput(f"parameter 'top_k': is {public_message(value)}; send 1 to {CANDIDATES}, or none")
    return value


def check_content_type(parameters: Mapping[str, Any], accepted: tuple[str, ...], where: str = "") -> None:
    """Raise InvalidInput for a `content_type` that is not accepted."""
    if "content_type" in parameters and parameters["content_type"] not in accepted:
        sent = public_message(parameters["content_type"])
        raise InvalidInput(f"parameter 'content_type'{where}: is {sent}; send {' or '.join(accepted)}, or none")


def check_output_parameters(parameters: Mapping[str, Any], name: str) -> None:
    """Raise InvalidInput for a parameter that is not honored."""
    where = f" of output {public_message(name)}"
    check_parameters(parameters, OF_OUTPUTS, where)
    check_content_type(parameters, OUTPUT_CONTENT_TYPES, where)
    flag(parameters, "binary_data", default=True, where=where)


def decode_input(
    values: list[str] | list[bytes], parameters: Mapping[str, Any], known: InputTensor
) -> Sequence[str | bytes]:
    """Return the elements of an input, decoded as its parameters say; raise InvalidInput."""
    where = f" of input {public_message(known.name)}"
    check_parameters(parameters, OF_INPUTS, where)
    if "content_type" not in parameters:
        return values
    check_content_type(parameters, CONTENT_TYPES, where)
    return _decode_content(values, parameters["content_type"], known)


def _decode_content(values: list[str] | list[bytes], content_type: str, known: InputTensor) -> Sequence[str | bytes]:
    """Return the elements of an input that names their encoding; raise InvalidTensor if they are not of it.

    Args:
        values: Elements of a JSON tensor (`str`), or of a binary or gRPC tensor (`bytes`).
        content_type: One of `CONTENT_TYPES`.
        known: The input.
    """
    if content_type == "base64":
        texts = [value if isinstance(value, str) else value.decode("latin-1") for value in values]
        return [decode_base64(text, known.name, row) for row, text in enumerate(texts)]
    if content_type == "str" and known.photo and any(isinstance(value, bytes) for value in values):
        raise InvalidTensor("parameter 'content_type': is 'str', but a photo is no text; send none", tensor=known.name)
    return values
