"""Models that several public routes share: request and response bases, a product, categories."""

import re
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    model_validator,
)

from product_classifier.feedback.records import Text
from product_classifier.limits import DESCRIPTION_CHARACTERS, DESIGNATION_CHARACTERS, PHOTO_BYTES
from product_classifier.text.normalization import has_words

BASE64_CHARACTERS = 4 * -(-PHOTO_BYTES // 3) * 66 // 64 + 128
"""Length of the largest photo in base64, with a line break (CR LF) every 64 characters, in a `data:` URL."""

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
NO_NUL = r"^[^\u0000]*$"
BLANK_FIELDS: dict[str, JsonValue] = {
    name: {"not": {"type": "string", "pattern": r"\S"}} for name in ("designation", "description", "image")
}
"""Matches null, an empty text and a text of blanks, in each field that is present."""


class RequestModel(BaseModel):
    """Base of request bodies: unknown fields are refused, types are not converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ResponseModel(BaseModel):
    """Base of response bodies."""

    model_config = ConfigDict(frozen=True)


def _rfc_3339(value: object) -> object:
    """Return the text of a date and time; raise for anything else, which pydantic would read as seconds."""
    if not isinstance(value, str) or not RFC_3339.fullmatch(value):
        raise ValueError("must be a date and time with an offset, as 2027-01-31T12:00:00Z")
    return value


Probability = Annotated[float, Field(ge=0, le=1)]
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_rfc_3339)]
"""A date and time in a request (RFC 3339)."""


def _without_nul(text: str) -> str:
    if (position := text.find("\0")) >= 0:
        raise ValueError(f"has a NUL at character {position}")
    return text


ProductText = Annotated[Text, AfterValidator(_without_nul), Field(json_schema_extra={"pattern": NO_NUL})]


class ProductInput(RequestModel):
    """A product with a letter or digit in its texts, or an image."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"designation": "Piscine gonflable ronde", "description": "<p>3 m</p>"}],
            "not": {"properties": BLANK_FIELDS},
        }
    )

    designation: Annotated[ProductText, Field(max_length=DESIGNATION_CHARACTERS)] | None = Field(
        default=None, description="Title, usually French."
    )
    description: Annotated[ProductText, Field(max_length=DESCRIPTION_CHARACTERS)] | None = Field(
        default=None, description="Text of the product page; HTML is accepted."
    )
    image: Annotated[str, Field(max_length=BASE64_CHARACTERS, json_schema_extra={"format": "photo"})] | None = Field(
        default=None,
        description="A JPEG, PNG, still WebP or AVIF in base64 (RFC 4648) or as a `data:` URL; at most 8 MiB decoded.",
    )

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        if not self.image and not has_words(self.designation, self.description):
            raise ValueError("has neither a letter or digit in designation and description nor an image; add one")
        return self


class CategoryLabel(ResponseModel):
    """A category with its label."""

    code: int | str
    label: str
    path: list[str] | None = Field(
        default=None,
        description="Labels from the root to the category, if it has a parent.",
        exclude_if=lambda path: path is None,
    )


class AcceptedAncestor(CategoryLabel):
    """A category above the predicted one that holds the target precision of the release."""

    probability: Probability = Field(description="Sum of those of the categories below.")


class CandidateView(ResponseModel):
    """A category with its probability."""

    code: int | str
    label: str
    probability: Probability


class ModalitiesView(ResponseModel):
    """Most probable category of each model; null if the model was not called or did not respond."""

    text: CandidateView | None
    image: CandidateView | None
