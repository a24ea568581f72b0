"""A product as a client sends it: JSON or a form with a file."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from inference.http.bodies import strict_base64, strict_json
from inference.http.problems import Problem, public_message
from product_classifier.errors import InvalidImage
from product_classifier.images.headers import read_header

MAX_DESIGNATION = 10_000
MAX_DESCRIPTION = 50_000
MAX_PRODUCTS = 64
OFF_LOOP_BYTES = 200_000
FIELDS = ("designation", "description", "image")
_LONGEST = {"designation": MAX_DESIGNATION, "description": MAX_DESCRIPTION}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Product:
    """What is asked about; empty means missing."""

    designation: str = ""
    description: str = ""
    image: bytes = b""

    @property
    def has_text(self) -> bool:
        """Tell whether there is anything to read."""
        return bool(self.designation.strip() or self.description.strip())


async def read_product(body: bytes, content_type: str) -> Product:
    """Return the product of a `/predict` body; a large one is read off the event loop."""
    media_type = content_type.split(";", maxsplit=1)[0].strip().lower()
    if media_type == "multipart/form-data":
        return await _from_form(body, content_type)
    require_json(media_type, "application/json or multipart/form-data")
    return await _off_loop(len(body), lambda: product_from(strict_json(body), "product"))


async def read_batch(body: bytes, content_type: str) -> list[Product | Problem]:
    """Return each product of a `/predict/batch` body, or what is wrong with that one."""
    require_json(content_type.split(";", maxsplit=1)[0].strip().lower(), "application/json")
    return await _off_loop(len(body), lambda: _rows(strict_json(body)))


def _rows(rows: object) -> list[Product | Problem]:
    if isinstance(rows, dict) and set(rows) == {"products"}:
        rows = rows["products"]
    if not isinstance(rows, list):
        raise Problem(422, f"a batch is a list of products, not {public_message(rows)}", kind="invalid-batch")
    if not 0 < len(rows) <= MAX_PRODUCTS:
        raise Problem(422, f"a batch has 1 to {MAX_PRODUCTS} products, not {len(rows)}", kind="invalid-batch")
    return [_product_or_problem(row, index) for index, row in enumerate(rows)]


def product_from(value: object, where: str) -> Product:
    """Return the product of a JSON object; `where` names it in errors."""
    if not isinstance(value, dict):
        raise _invalid(f"{where} must be an object with {', '.join(FIELDS)}, not {public_message(value)}")
    if unknown := next((name for name in value if name not in FIELDS), None):
        raise Problem(
            422,
            f"{where}: unknown field {public_message(unknown)}; known are {', '.join(FIELDS)}",
            kind="unknown-field",
        )
    texts = {name: _text(value.get(name), name, where) for name in _LONGEST}
    image = value.get("image")
    if image is not None and not isinstance(image, str):
        raise _invalid(f"{where}.image must be base64 text, not {public_message(image)}")
    return _checked(texts, strict_base64(image, f"{where}.image") if image else b"", where)


def require_json(media_type: str, accepted: str) -> None:
    """Refuse every media type but JSON; `accepted` is what the error suggests."""
    if media_type != "application/json":
        raise Problem(415, f"the body must be {accepted}, not {public_message(media_type)}")


async def _from_form(body: bytes, content_type: str) -> Product:
    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    parser = _Utf8Parser(
        Headers({"content-type": content_type}), whole(), max_files=1, max_fields=2, max_part_size=4 * MAX_DESCRIPTION
    )
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeError, LookupError, ValueError, KeyError) as error:
        raise Problem(400, f"the form cannot be read: {public_message(str(error))}", kind="malformed-form") from error
    try:
        return await _product_of(form)
    finally:
        await form.close()


class _Utf8Parser(MultiPartParser):
    """Refuses texts that are not UTF-8, where its parent would read them as something else."""

    def on_part_end(self) -> None:
        self._charset = "utf-8"
        if self._current_part.file is None:
            self._current_part.data.decode("utf-8")
        super().on_part_end()


async def _product_of(form: FormData) -> Product:
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        if name not in FIELDS:
            raise Problem(
                422, f"unknown form field {public_message(name)}; known are {', '.join(FIELDS)}", kind="unknown-field"
            )
        if name in fields:
            raise Problem(422, f"form field {name!r} is given twice", kind="invalid-product")
        if isinstance(value, UploadFile) != (name == "image"):
            raise _invalid(f"form field {name!r} must be a {'file' if name == 'image' else 'text'}")
        fields[name] = await value.read() if isinstance(value, UploadFile) else value
    texts = {name: _text(fields.get(name), name, "form") for name in _LONGEST}
    image = fields.get("image", b"")
    return await _off_loop(len(image), lambda: _checked(texts, image, "form"))


def _product_or_problem(row: object, index: int) -> Product | Problem:
    try:
        return product_from(row, f"products[{index}]")
    except Problem as problem:
        return problem


def _text(value: object, name: str, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _invalid(f"{where}.{name} must be a text, not {public_message(value)}")
    if len(value) > _LONGEST[name]:
        raise _invalid(f"{where}.{name} has {len(value)} characters, more than {_LONGEST[name]}")
    if (position := value.find("\0")) >= 0:
        raise _invalid(f"{where}.{name} has a NUL at character {position}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _invalid(f"{where}.{name} has half a surrogate pair at character {error.start}") from error
    return value


def _checked(texts: dict[str, str], image: bytes, where: str) -> Product:
    product = Product(**texts, image=image)
    if image:
        try:
            read_header(image)
        except InvalidImage as error:
            raise Problem(422, f"{where}.image: {error}", kind="invalid-image") from error
    elif not product.has_text:
        raise _invalid(f"{where} has neither designation, description nor image: give at least one")
    return product


async def _off_loop(size: int, read: Callable[[], T]) -> T:
    return read() if size < OFF_LOOP_BYTES else await asyncio.to_thread(read)


def _invalid(detail: str) -> Problem:
    return Problem(422, detail, kind="invalid-product")
