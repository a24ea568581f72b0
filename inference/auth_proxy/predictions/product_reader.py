"""Read products from request bodies: JSON, or a form with a file.

The checks are those of `ProductInput`, written out because they name the field and the value and run per request.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException

from inference.auth_proxy.media_types import JSON, MULTIPART, require_media_type, with_photo_advice
from inference.compat.starlette import Utf8MultiPartParser
from inference.http.bodies import strict_base64, strict_json
from inference.http.problems import Problem, public_message
from product_classifier.errors import InvalidImage
from product_classifier.images.headers import cut, read_header
from product_classifier.images.image_info import ImageInfo
from product_classifier.limits import (
    BATCH_PRODUCTS,
    DESCRIPTION_CHARACTERS,
    DESIGNATION_CHARACTERS,
    EXPLANATION_PRODUCTS,
)
from product_classifier.text.normalization import has_words

OFF_LOOP_BYTES = 200_000
"""Bodies of this size are parsed in a thread, so that they do not delay other requests."""
FIELDS = ("designation", "description", "image", "explain")
FORM_FLAGS = {"true": True, "false": False}
PHOTO_ADVICE = "send a photo as the file 'image' of a form (curl -F image=@photo.jpg), or in base64 as 'image' of JSON"
MAX_CHARACTERS = {"designation": DESIGNATION_CHARACTERS, "description": DESCRIPTION_CHARACTERS}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RequestProduct:
    """A product to classify; an empty field is a missing one."""

    designation: str = ""
    description: str = ""
    image: bytes = b""
    """The photo, without the bytes behind the picture."""
    photo: ImageInfo | None = None
    """Size of the photo, and what decoding it costs."""
    explain: bool = False
    """Whether the prediction is to be explained."""
    has_text: bool = field(init=False, compare=False)
    """Whether the models can read a letter or digit in designation or description."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "has_text", has_words(self.designation, self.description))


async def read_product(body: bytes, content_type: str) -> RequestProduct:
    """Return the product of a `/predict` body."""
    try:
        if require_media_type(content_type, JSON, MULTIPART) == MULTIPART:
            return await _from_form(body, content_type)
        return await _off_loop(len(body), lambda: product_from(strict_json(body), "product"))
    except Problem as problem:
        raise with_photo_advice(problem, body, PHOTO_ADVICE) from None


async def read_batch(body: bytes, content_type: str) -> list[RequestProduct | Problem]:
    """Return each product of a `/predict/batch` body, or its problem."""
    try:
        require_media_type(content_type, JSON)
        return await _off_loop(len(body), lambda: _rows(strict_json(body)))
    except Problem as problem:
        raise with_photo_advice(problem, body, "send JSON with a photo in base64 as 'image' of its product") from None


def _rows(rows: object) -> list[RequestProduct | Problem]:
    if isinstance(rows, dict) and set(rows) == {"products"}:
        rows = rows["products"]
    if not isinstance(rows, list):
        raise Problem(422, f"body: must be a list of products, not {public_message(rows)}", kind="invalid-batch")
    if not 0 < len(rows) <= BATCH_PRODUCTS:
        raise Problem(422, f"body: has {len(rows)} products; send 1 to {BATCH_PRODUCTS}", kind="invalid-batch")
    products = [_product_or_problem(row, index) for index, row in enumerate(rows)]
    explained = sum(isinstance(product, RequestProduct) and product.explain for product in products)
    if explained > EXPLANATION_PRODUCTS:
        raise Problem(
            422,
            f"body: {explained} products ask for an explanation; at most {EXPLANATION_PRODUCTS} are explained at once",
            kind="invalid-batch",
        )
    return products


def product_from(value: object, where: str) -> RequestProduct:
    """Return the product of a JSON object; `where` names it in problems."""
    if not isinstance(value, dict):
        raise _invalid(f"{where}: must be an object with {', '.join(FIELDS)}, not {public_message(value)}")
    if unknown := next((name for name in value if name not in FIELDS), None):
        raise Problem(
            422,
            f"{where}: unknown field {public_message(unknown)}; known are {', '.join(FIELDS)}",
            kind="unknown-field",
        )
    texts = {name: _text(value.get(name), name, where) for name in MAX_CHARACTERS}
    explain = value.get("explain")
    if explain is not None and not isinstance(explain, bool):
        raise _invalid(f"{where}.explain: must be true or false, not {public_message(explain)}")
    image = value.get("image")
    if image is not None and not isinstance(image, str):
        raise _invalid(f"{where}.image: must be base64 text, not {public_message(image)}")
    photo = strict_base64(image, f"{where}.image") if image else None
    return _checked(texts, photo, where, explain=bool(explain))


async def _from_form(body: bytes, content_type: str) -> RequestProduct:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield body

    parser = Utf8MultiPartParser(
        Headers({"content-type": content_type}),
        chunks(),
        max_files=1,
        max_fields=3,
        max_part_size=4 * DESCRIPTION_CHARACTERS,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeError, LookupError, ValueError, KeyError) as error:
        raise Problem(400, f"body: not a valid form: {public_message(str(error))}", kind="malformed-form") from error
    try:
        return await _product_of(form)
    finally:
        await form.close()


async def _product_of(form: FormData) -> RequestProduct:
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        if name not in FIELDS:
            raise Problem(
                422, f"form: unknown field {public_message(name)}; known are {', '.join(FIELDS)}", kind="unknown-field"
            )
        if name in fields:
            raise Problem(422, f"form.{name}: is given twice; send it once", kind="invalid-product")
        if isinstance(value, UploadFile) != (name == "image"):
            raise _invalid(f"form.{name}: must be a {'file' if name == 'image' else 'text'}")
        fields[name] = await _read_file(value) if isinstance(value, UploadFile) else value
    texts = {name: _text(fields.get(name), name, "form") for name in MAX_CHARACTERS}
    image, explain = fields.get("image"), fields.get("explain", "false")
    if explain not in FORM_FLAGS:
        raise _invalid(f"form.explain: must be true or false, not {public_message(explain)}")
    return await _off_loop(len(image or b""), lambda: _checked(texts, image, "form", explain=FORM_FLAGS[explain]))


async def _read_file(file: UploadFile) -> bytes | None:
    """Return the photo of a form, None if a browser's form has no file chosen: no name and no bytes."""
    data = await file.read()
    if not data and file.filename:
        name = public_message(file.filename)
        raise Problem(422, f"form.image: the file {name} is empty (0 bytes); send a photo", kind="invalid-image")
    return data or None


def _product_or_problem(row: object, index: int) -> RequestProduct | Problem:
    try:
        return product_from(row, f"products[{index}]")
    except Problem as problem:
        return problem


def _text(value: object, name: str, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _invalid(f"{where}.{name}: must be text, not {public_message(value)}")
    if len(value) > MAX_CHARACTERS[name]:
        raise _invalid(f"{where}.{name}: has {len(value)} characters; at most {MAX_CHARACTERS[name]} are accepted")
    if (position := value.find("\0")) >= 0:
        raise _invalid(f"{where}.{name}: has a NUL at character {position}; remove it")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _invalid(
            f"{where}.{name}: has half a surrogate pair at character {error.start}; send valid Unicode"
        ) from error
    return value


def _checked(texts: dict[str, str], image: bytes | None, where: str, *, explain: bool) -> RequestProduct:
    if image is not None:
        try:
            photo = read_header(image)
        except InvalidImage as error:
            raise Problem(422, f"{where}.image: {error}", kind="invalid-image") from error
        return RequestProduct(texts["designation"], texts["description"], cut(image, photo), photo, explain)
    product = RequestProduct(texts["designation"], texts["description"], explain=explain)
    if not product.has_text:
        raise _invalid(f"{where}: has neither a letter or digit in designation and description nor an image; add one")
    return product


async def _off_loop(size: int, read: Callable[[], T]) -> T:
    return read() if size < OFF_LOOP_BYTES else await asyncio.to_thread(read)


def _invalid(detail: str) -> Problem:
    return Problem(422, detail, kind="invalid-product")
