"""Requests and responses of the models, independent of the protocol: one row per product.

Each codec (V1 JSON, V2 JSON with or without binary tensors, gRPC) decodes and checks a `ModelRequest` and encodes a
`ModelResponse`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.http.base64_text import decode_base64 as decode_text
from inference.http.problems import InvalidTensor, public_message
from product_classifier.errors import InvalidInput
from product_classifier.limits import BATCH_PRODUCTS, DESCRIPTION_CHARACTERS, JSON_VALUES
from product_classifier.top_probabilities import CANDIDATES

Array = NDArray[Any]
Parameter = bool | int | str

UNCHECKED_BYTES = 16_384
"""JSON or protobuf of this size is parsed at once: it takes less than a millisecond, whatever it contains."""
ID_CHARACTERS = 1024
PARAMETER_CHARACTERS = 128


@dataclass(frozen=True)
class InputTensor:
    """A BYTES tensor `[n]` or `[n, 1]` of a request: UTF-8 texts, or encoded photos."""

    name: str
    photo: bool = False
    required: bool = False
    max_characters: int = DESCRIPTION_CHARACTERS
    """Longest text; photos are limited where they are decoded."""


@dataclass(frozen=True)
class OutputTensor:
    """A tensor of a response: `[n]`, or one value per class.

    The latter is `[n, classes]`; with more than `FULL_VECTOR_CLASSES` classes it is `[n, k]`, with `codes` `[n, k]`.
    """

    name: str
    datatype: str
    """FP32, or empty for the category codes: INT64, or BYTES where the catalogue has text codes."""
    codes: str = ""
    """Name of the output with the codes of the k most probable classes; empty for a tensor `[n]`."""


@dataclass(frozen=True)
class Signature:
    """The tensors of a model's requests and responses."""

    inputs: tuple[InputTensor, ...]
    outputs: tuple[OutputTensor, ...]
    max_rows: int = BATCH_PRODUCTS

    def input(self, name: str) -> InputTensor:
        """Return an input by name; raise InvalidTensor if there is none."""
        for known in self.inputs:
            if known.name == name:
                return known
        expected = ", ".join(known.name for known in self.inputs)
        raise InvalidTensor(f"this model has no such input; it reads {expected}", tensor=name)

    def output(self, name: str) -> OutputTensor:
        """Return an output by its name or that of its codes; raise InvalidInput if there is none."""
        for known in self.outputs:
            if name in {known.name, known.codes} - {""}:
                return known
        expected = ", ".join(known.name for known in self.outputs)
        raise InvalidInput(f"output {public_message(name)}: this model has no such output; it returns {expected}")

    @property
    def max_values(self) -> int:
        """Values that a request may have in JSON or protobuf."""
        return JSON_VALUES * max(self.max_rows, BATCH_PRODUCTS) // BATCH_PRODUCTS

    def check_output_count(self, requested: int) -> None:
        """Raise InvalidInput if a request names more outputs than there are."""
        available = len(self.outputs) + sum(bool(known.codes) for known in self.outputs)
        if requested > available:
            raise InvalidInput(f"{requested} outputs are requested; this model returns {available}, each once")


Column = list[str] | list[bytes]


@dataclass(frozen=True)
class OutputSelection:
    """An output that a request names, and whether as a binary tensor."""

    name: str
    binary: bool = False


@dataclass(frozen=True)
class ModelRequest:
    """A checked request about `rows` products; `release` and `version` are empty for the current ones."""

    rows: int
    columns: Mapping[str, Column]
    id: str = ""
    release: str = ""
    version: str = ""
    outputs: tuple[OutputSelection, ...] = ()
    binary_outputs: bool = False
    timeout_s: float = 0.0
    """Seconds the prediction may take; 0 is no limit."""
    top_k: int = CANDIDATES
    """Most probable classes that a model with more than `FULL_VECTOR_CLASSES` returns."""

    def texts(self, name: str) -> list[str]:
        """Return the texts of an input; empty texts if the request does not have it."""
        return [str(value) for value in self.columns[name]] if name in self.columns else [""] * self.rows

    def photos(self, name: str) -> list[bytes]:
        """Return the photos of an input; empty ones if the request does not have it."""
        column = self.columns.get(name)
        return [value for value in column if isinstance(value, bytes)] if column is not None else [b""] * self.rows


@dataclass(frozen=True)
class ModelResponse:
    """The outputs of a model, and the release and bundle version that computed them."""

    outputs: Mapping[str, Array]
    release: str
    version: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    codes: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    """Codes of the classes as V2 shows them `[classes]`."""

    def all_parameters(self) -> dict[str, Parameter]:
        """Return the response parameters, the release among them."""
        return {"release": self.release, **self.parameters}

    def requested_outputs(self, request: ModelRequest) -> list[tuple[str, Array, bool]]:
        """Return the outputs to encode: name, values, and whether as a binary tensor."""
        if not request.outputs:
            return [(name, values, request.binary_outputs) for name, values in self.outputs.items()]
        return [(requested.name, self.outputs[requested.name], requested.binary) for requested in request.outputs]


def validate_request(signature: Signature, raw: Mapping[str, Sequence[str | bytes]], **settings: Any) -> ModelRequest:
    """Return a request if every element of its columns is valid and the columns have equal lengths.

    Raises:
        InvalidTensor: With the input, and the row of an invalid element.
        InvalidInput: If there are no inputs, or a requested output is unknown.
    """
    for name in raw:
        signature.input(name)
    for known in signature.inputs:
        if known.required and known.name not in raw:
            raise InvalidTensor("is missing", tensor=known.name)
    rows = check_rows(signature, raw)
    columns = {name: _column(signature.input(name), values) for name, values in raw.items()}
    names = [requested.name for requested in settings.get("outputs", ())]
    for name in names:
        signature.output(name)
        if names.count(name) > 1:
            raise InvalidInput(f"output {public_message(name)}: is requested twice; request it once")
    return ModelRequest(rows, columns, **settings)


def check_rows(signature: Signature, raw: Mapping[str, Sequence[str | bytes]]) -> int:
    """Return the number of rows, which all inputs must share."""
    if not raw:
        raise InvalidInput(f"no inputs; this model reads {', '.join(known.name for known in signature.inputs)}")
    first = next(iter(raw))
    rows = len(raw[first])
    for name, values in raw.items():
        check_row_count(name, len(values), signature.max_rows)
        if len(values) != rows:
            raise InvalidTensor(f"has {len(values)} rows, but input {public_message(first)} has {rows}", tensor=name)
    return rows


def check_row_count(name: str, rows: int, max_rows: int) -> None:
    """Raise InvalidTensor unless an input has 1 to `max_rows` rows."""
    if not 1 <= rows <= max_rows:
        raise InvalidTensor(f"has {rows} rows, not 1 to {max_rows}", tensor=name)


def check_shape(name: str, shape: object, elements: int) -> None:
    """Raise InvalidTensor unless the shape is `[elements]`, or `[elements, 1]` as MLServer writes it."""
    if shape == [elements] and type(shape[0]) is int:  # the usual case; not True or 1.0
        return
    if not isinstance(shape, list | tuple) or not 1 <= len(shape) <= 2 or not all(map(_is_size, shape)):
        raise InvalidTensor(f"shape {public_message(shape)} is not [n]", tensor=name)
    if len(shape) == 2 and shape[1] != 1:
        raise InvalidTensor(f"shape {public_message(shape)} is not [n] or [n, 1]", tensor=name)
    if shape[0] != elements:
        raise InvalidTensor(f"shape is {public_message(shape)}, but the data has {elements} elements", tensor=name)


def check_datatype(name: str, datatype: object) -> None:
    """Raise InvalidTensor unless the datatype is BYTES, the only one of these models' inputs."""
    if datatype != "BYTES":
        raise InvalidTensor(f"datatype is {public_message(datatype)}, not 'BYTES'", tensor=name)


def decode_base64(value: str, name: str, row: int | None) -> bytes:
    """Decode base64 in any of its spellings; raise InvalidTensor."""
    try:
        return decode_text(value)
    except ValueError as error:
        raise InvalidTensor(f"{public_message(value)} is not base64: {error}", tensor=name, row=row) from error


def short_text(value: object, what: str, longest: int = PARAMETER_CHARACTERS) -> str:
    """Return an optional text of at most `longest` characters, empty if it is missing; raise InvalidInput."""
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest:
        raise InvalidInput(f"{what} is {public_message(value)}, not a text of at most {longest} characters")
    return value


def _column(known: InputTensor, values: Sequence[str | bytes]) -> Column:
    if known.photo:
        return [_photo(value, known.name, row) for row, value in enumerate(values)]
    return [_text(value, known, row) for row, value in enumerate(values)]


def _photo(value: str | bytes, name: str, row: int) -> bytes:
    return value if isinstance(value, bytes) else decode_base64(value, name, row)


def _text(value: str | bytes, known: InputTensor, row: int) -> str:
    if len(value) > known.max_characters * (4 if isinstance(value, bytes) else 1):  # before bytes are decoded
        raise _too_long(value, known, row)
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidTensor(f"is not UTF-8 at byte {error.start}", tensor=known.name, row=row) from error
    if len(value) > known.max_characters:
        raise _too_long(value, known, row)
    if "\0" in value:
        raise InvalidTensor(f"has a NUL at character {value.index(chr(0))}", tensor=known.name, row=row)
    return value


def _too_long(value: str | bytes, known: InputTensor, row: int) -> InvalidTensor:
    reason = f"is {len(value)} long, more than {known.max_characters} characters"
    return InvalidTensor(reason, tensor=known.name, row=row)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
