"""Requests and responses of the models, independent of the protocol: one row per product.

A codec (V1 JSON, V2 JSON, V2 binary, gRPC) decodes an `InferenceRequest`, checked, and encodes an `InferenceResponse`.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from inference.http.problems import InvalidTensor, public_message
from product_classifier.errors import InvalidInput

MAX_TEXT = 100_000
"""Characters of one text; sellers write a tenth of that at most."""
MAX_ROWS = 64

Array = NDArray[Any]
Parameter = bool | int | str


@dataclass(frozen=True)
class InputTensor:
    """A BYTES tensor `[n]` a model reads: texts, or photos as they were sent."""

    name: str
    photo: bool = False
    required: bool = False


@dataclass(frozen=True)
class OutputTensor:
    """A tensor a model answers: `[n]`, or `[n, classes]` if it is per class."""

    name: str
    datatype: str
    per_class: bool = True


@dataclass(frozen=True)
class Signature:
    """What a model reads and answers."""

    inputs: tuple[InputTensor, ...]
    outputs: tuple[OutputTensor, ...]
    max_rows: int = MAX_ROWS

    def input(self, name: str) -> InputTensor:
        """Find an input by name."""
        for known in self.inputs:
            if known.name == name:
                return known
        expected = ", ".join(known.name for known in self.inputs)
        raise InvalidTensor(f"this model has no such input; it reads {expected}", tensor=name)

    def output(self, name: str) -> OutputTensor:
        """Find an output by name."""
        for known in self.outputs:
            if known.name == name:
                return known
        expected = ", ".join(known.name for known in self.outputs)
        raise InvalidInput(f"output {public_message(name)}: this model has no such output; it answers {expected}")


Column = list[str] | list[bytes]


@dataclass(frozen=True)
class RequestedOutput:
    """An output asked for by name, and whether as bytes behind the JSON."""

    name: str
    binary: bool = False


@dataclass(frozen=True)
class InferenceRequest:
    """One question about `rows` products, checked."""

    rows: int
    columns: Mapping[str, Column]
    id: str = ""
    release: str = ""
    version: str = ""
    outputs: tuple[RequestedOutput, ...] = ()
    binary_outputs: bool = False

    def texts(self, name: str) -> list[str]:
        """Return the texts of an input; a missing input is one empty text per row."""
        return [str(value) for value in self.columns[name]] if name in self.columns else [""] * self.rows

    def photos(self, name: str) -> list[bytes]:
        """Return the photos of an input; a missing input is one empty photo per row."""
        column = self.columns.get(name)
        return [value for value in column if isinstance(value, bytes)] if column is not None else [b""] * self.rows


@dataclass(frozen=True)
class InferenceResponse:
    """What a model answered, by which bundle of which release."""

    outputs: Mapping[str, Array]
    release: str
    version: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    def all_parameters(self) -> dict[str, Parameter]:
        """Return the response parameters, the release among them."""
        return {"release": self.release, **self.parameters}

    def wanted(self, request: InferenceRequest) -> list[tuple[str, Array, bool]]:
        """Return the outputs to send: name, values, and whether as bytes."""
        if not request.outputs:
            return [(name, values, request.binary_outputs) for name, values in self.outputs.items()]
        return [(wanted.name, self.outputs[wanted.name], wanted.binary) for wanted in request.outputs]


def validate_request(
    signature: Signature, raw: Mapping[str, Sequence[str | bytes]], **settings: Any
) -> InferenceRequest:
    """Check every element of the columns and that they fit together.

    Raises:
        InvalidTensor: Names the input, and the row where one element is at fault.
    """
    for name in raw:
        signature.input(name)
    for known in signature.inputs:
        if known.required and known.name not in raw:
            raise InvalidTensor("is missing", tensor=known.name)
    rows = check_rows(signature, raw)
    columns = {name: _column(signature.input(name), values) for name, values in raw.items()}
    for wanted in settings.get("outputs", ()):
        signature.output(wanted.name)
    return InferenceRequest(rows, columns, **settings)


def check_rows(signature: Signature, raw: Mapping[str, Sequence[str | bytes]]) -> int:
    """Return how many rows all inputs agree on."""
    if not raw:
        raise InvalidInput(f"no inputs; this model reads {', '.join(known.name for known in signature.inputs)}")
    first = next(iter(raw))
    rows = len(raw[first])
    for name, values in raw.items():
        if not 1 <= len(values) <= signature.max_rows:
            raise InvalidTensor(f"has {len(values)} rows, not 1 to {signature.max_rows}", tensor=name)
        if len(values) != rows:
            raise InvalidTensor(f"has {len(values)} rows, but input {public_message(first)} has {rows}", tensor=name)
    return rows


def check_shape(name: str, shape: object, elements: int) -> None:
    """Refuse a shape other than `[n]`, and an n that is not the number of elements."""
    if not isinstance(shape, list | tuple) or len(shape) != 1 or not _is_size(shape[0]):
        raise InvalidTensor(f"shape {public_message(shape)} is not [n]", tensor=name)
    if shape[0] != elements:
        raise InvalidTensor(f"shape is [{shape[0]}], but the data has {elements} elements", tensor=name)


def check_datatype(name: str, datatype: object) -> None:
    """Refuse anything but BYTES: texts and photos are all these models read."""
    if datatype != "BYTES":
        raise InvalidTensor(f"datatype is {public_message(datatype)}, not 'BYTES'", tensor=name)


def decode_base64(value: str, name: str, row: int | None) -> bytes:
    """Decode standard base64, nothing ignored."""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidTensor(f"{public_message(value)} is not base64", tensor=name, row=row) from error


def _column(known: InputTensor, values: Sequence[str | bytes]) -> Column:
    if known.photo:
        return [_photo(value, known.name, row) for row, value in enumerate(values)]
    return [_text(value, known.name, row) for row, value in enumerate(values)]


def _photo(value: str | bytes, name: str, row: int) -> bytes:
    return value if isinstance(value, bytes) else decode_base64(value, name, row)


def _text(value: str | bytes, name: str, row: int) -> str:
    if len(value) > MAX_TEXT * (4 if isinstance(value, bytes) else 1):
        raise InvalidTensor(f"is {len(value)} long, more than {MAX_TEXT} characters", tensor=name, row=row)
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidTensor(f"is not UTF-8 at byte {error.start}", tensor=name, row=row) from error
    if len(value) > MAX_TEXT:
        raise InvalidTensor(f"is {len(value)} long, more than {MAX_TEXT} characters", tensor=name, row=row)
    if "\0" in value:
        raise InvalidTensor(f"has a NUL at character {value.index(chr(0))}", tensor=name, row=row)
    return value


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
