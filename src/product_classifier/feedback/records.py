"""What is kept of every answer and every correction, and under which key.

An id is a UUID of version 7: it sorts by time, and the day in an object's key is read from it, so an id alone finds
its object.
"""

import os
import time
import uuid
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from product_classifier.errors import InvalidInput, StoreUnavailable
from product_classifier.limits import COMMENT_CHARACTERS

UUID_VERSION = 7
YEAR_10000_MS = 253_402_300_800_000
"""The first moment no `datetime` can hold."""

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Role = Literal["user", "reviewer", "admin"]


def _time_ordered(identifier: str) -> str:
    try:
        _parsed(identifier)
    except InvalidInput as error:
        raise ValueError(str(error)) from error
    return identifier


def _storable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        msg = f"holds a lone surrogate at position {error.start}"
        raise ValueError(msg) from error
    return text


Text = Annotated[str, AfterValidator(_storable)]
Identifier = Annotated[str, AfterValidator(_time_ordered)]


class Record(BaseModel):
    """An object that is written once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> bytes:
        """Return the bytes to store."""
        return self.model_dump_json().encode()

    @classmethod
    def from_json(cls, data: bytes, key: str) -> Self:
        """Read what was stored; a damaged object is reported with its key, not half used."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "the whole object"
            raise StoreUnavailable(f"object {key!r} is not a {cls.__name__}: {place}: {first['msg']}") from error


class CategoryProbability(Record):
    """One category with its probability."""

    code: int
    probability: Probability


class Modalities(Record):
    """What each model said on its own; None where it was not asked or did not answer."""

    text: CategoryProbability | None = None
    image: CategoryProbability | None = None


class ProductContent(Record):
    """A product as it was sent; the photo by the hash of its bytes, see `image_key`."""

    designation: Text = ""
    description: Text = ""
    image_sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _something_to_look_at(self) -> Self:
        if not (self.designation or self.description or self.image_sha256):
            raise ValueError("a product has a designation, a description or an image")
        return self


class PredictionRecord(Record):
    """What was asked and answered."""

    prediction_id: Identifier
    created: AwareDatetime
    user: Text
    product: ProductContent
    code: int
    confidence: Probability
    top: tuple[CategoryProbability, ...]
    modalities: Modalities
    degraded: bool
    release: Text

    @property
    def key(self) -> str:
        """Where it is kept."""
        return prediction_key(self.prediction_id)


class Correction(Record):
    """What a person says the category is, of a prediction or of a product they describe."""

    feedback_id: Identifier
    created: AwareDatetime
    user: Text
    role: Role
    prediction_id: Identifier | None = None
    product: ProductContent | None = None
    code: int
    predicted: int | None = None
    release: Text | None = None
    comment: Text = Field(default="", max_length=COMMENT_CHARACTERS)

    @model_validator(mode="after")
    def _about_something(self) -> Self:
        """Taken while the store was away, a correction knows its prediction only."""
        if self.prediction_id is None and self.product is None:
            msg = "a correction names a prediction or holds a product"
            raise ValueError(msg)
        return self

    @property
    def key(self) -> str:
        """Where it is kept."""
        return correction_key(self.feedback_id)


class Review(Record):
    """What a reviewer decided about a correction; the first decision stands."""

    feedback_id: Identifier
    created: AwareDatetime
    reviewer: Text
    decision: Literal["approved", "rejected"]
    comment: Text = Field(default="", max_length=COMMENT_CHARACTERS)

    @property
    def key(self) -> str:
        """Where it is kept: beside its correction."""
        return review_key(self.feedback_id)


def prediction_key(prediction_id: str) -> str:
    """Return the key of a prediction record; `InvalidInput` when no id looks like that."""
    return f"predictions/dt={day_of(prediction_id)}/{prediction_id}.json"


def correction_key(feedback_id: str) -> str:
    """Return the key of a correction."""
    return f"feedback/dt={day_of(feedback_id)}/{feedback_id}.json"


def review_key(feedback_id: str) -> str:
    """Return the key of the review beside a correction."""
    return f"feedback/dt={day_of(feedback_id)}/{feedback_id}.review.json"


def image_key(sha256: str) -> str:
    """Return the key of a photo."""
    return f"images/{sha256}"


def new_id(now: datetime | None = None) -> str:
    """Make an id that sorts after those made in earlier milliseconds (UUID version 7, RFC 9562)."""
    milliseconds = int((now.timestamp() if now else time.time()) * 1000)
    bits = milliseconds << 80 | int.from_bytes(os.urandom(10))
    bits = bits & ~(0xF << 76) | UUID_VERSION << 76
    bits = bits & ~(0b11 << 62) | 0b10 << 62
    return str(uuid.UUID(int=bits))


def created_at(identifier: str) -> datetime:
    """Return the moment an id was made."""
    return datetime.fromtimestamp((_parsed(identifier).int >> 80) / 1000, tz=UTC)


def day_of(identifier: str) -> str:
    """Return the day (UTC) an id was made, as in the keys."""
    return created_at(identifier).date().isoformat()


def _parsed(identifier: str) -> uuid.UUID:
    try:
        parsed = uuid.UUID(identifier)
        if parsed.version == UUID_VERSION and str(parsed) == identifier and parsed.int >> 80 < YEAR_10000_MS:
            return parsed
    except ValueError:
        pass
    raise InvalidInput(f"{identifier[:60]!r} is not an id of ours")
