"""Stored records of predictions, corrections and reviews, and their keys.

Ids are UUIDs of version 7 (RFC 9562). They sort by time, and the day in an object's key is derived from the id, so an
id is enough to find its object.
"""

import os
import time
import uuid
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from product_classifier.decisions import Decision
from product_classifier.errors import InvalidInput, StoreUnavailable
from product_classifier.limits import COMMENT_CHARACTERS
from product_classifier.store.object_keys import FEEDBACK_PREFIX
from product_classifier.taxonomy.stored_codes import StoredCode
from product_classifier.validation_messages import described

UUID_VERSION = 7
YEAR_10000_MS = 253_402_300_800_000
"""Milliseconds since the epoch at which `datetime` overflows."""

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Role = Literal["user", "reviewer", "admin"]
PREDICTIONS_PREFIX = "predictions/"
PHOTO_PREFIX = "images/"
REVIEW_SUFFIX = ".review.json"
REVISION_SUFFIX = ".revision.json"
RevisionAction = Literal["approved", "rejected", "corrected", "reopened", "withdrawn"]


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
    """An immutable object in the store."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> bytes:
        """Return the bytes to store."""
        return self.model_dump_json().encode()

    @classmethod
    def from_json(cls, data: bytes, key: str) -> Self:
        """Parse a stored object.

        Raises:
            StoreUnavailable: If the content is malformed; the message has the key and the first invalid field.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            field, reason = described(error)[0]
            where = field or "the whole object"
            raise StoreUnavailable(f"object {key!r} is not a {cls.__name__}: {where}: {reason}") from error


class CategoryProbability(Record):
    """A category and its probability."""

    code: StoredCode
    probability: Probability


class Modalities(Record):
    """The top category of each model; None if the model was not called or did not respond."""

    text: CategoryProbability | None = None
    image: CategoryProbability | None = None


class ProductContent(Record):
    """A product as it was sent; the photo is stored under the hash of its bytes, see `image_key`."""

    designation: Text = ""
    description: Text = ""
    image_sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not (self.designation or self.description or self.image_sha256):
            raise ValueError("a product has a designation, a description or an image")
        return self


class PredictionRecord(Record):
    """A prediction: request and response."""

    prediction_id: Identifier
    created: AwareDatetime
    user: Text
    product: ProductContent
    code: StoredCode
    confidence: Probability
    decision: Decision | None = Field(default=None, exclude_if=lambda decision: decision is None)
    """None in records from before there were decisions, which are written without it."""
    accepted_at: CategoryProbability | None = Field(default=None, exclude_if=lambda answer: answer is None)
    """The deepest certain category above a predicted one that needs review."""
    top: tuple[CategoryProbability, ...]
    modalities: Modalities
    degraded: bool
    release: Text
    taxonomy_version: int | None = Field(default=None, ge=1, exclude_if=lambda version: version is None)
    """Version of the taxonomy that the codes are of; None is the first, as in records of earlier services."""

    @property
    def key(self) -> str:
        """Key of the object."""
        return prediction_key(self.prediction_id)


class Correction(Record):
    """A category submitted by a user for a prediction or for a product."""

    feedback_id: Identifier
    created: AwareDatetime
    user: Text
    role: Role
    prediction_id: Identifier | None = None
    product: ProductContent | None = None
    code: StoredCode
    predicted: StoredCode | None = None
    release: Text | None = None
    comment: Text = Field(default="", max_length=COMMENT_CHARACTERS)
    taxonomy_version: int | None = Field(default=None, ge=1, exclude_if=lambda version: version is None)
    """Version of the taxonomy that `code` is of; None is the first, as in records of earlier services."""
    predicted_version: int | None = Field(default=None, ge=1, exclude_if=lambda version: version is None)
    """Version of the taxonomy that `predicted` is of; None is the first."""

    @model_validator(mode="after")
    def _has_subject(self) -> Self:
        """Check that there is a prediction or a product; without the store only the prediction id is known."""
        if self.prediction_id is None and self.product is None:
            msg = "a correction has a prediction_id or a product"
            raise ValueError(msg)
        return self

    @property
    def key(self) -> str:
        """Key of the object."""
        return correction_key(self.feedback_id)


class Review(Record):
    """A reviewer's decision about a correction; the first one is final."""

    feedback_id: Identifier
    created: AwareDatetime
    reviewer: Text
    decision: Literal["approved", "rejected"]
    comment: Text = Field(default="", max_length=COMMENT_CHARACTERS)

    @property
    def key(self) -> str:
        """Key of the object, next to its correction."""
        return review_key(self.feedback_id)


class Revision(Record):
    """A later decision about a correction: it supersedes the review and the revisions before it.

    It is stored under its own day, so that other servers find it when they list the newest days.
    """

    revision_id: Identifier
    feedback_id: Identifier
    created: AwareDatetime
    user: Text
    action: RevisionAction
    """`corrected`: a reviewer submitted another category; `reopened`: a decision was taken back; `withdrawn`: the
    correction was taken back by its user."""
    replacement: Identifier | None = None
    """The correction of the reviewer, of a correction that is `corrected`."""
    comment: Text = Field(default="", max_length=COMMENT_CHARACTERS)

    @property
    def key(self) -> str:
        """Key of the object."""
        return revision_key(self.revision_id)


def prediction_key(prediction_id: str) -> str:
    """Return the key of a prediction record; raise `InvalidInput` for a malformed id."""
    return f"{PREDICTIONS_PREFIX}dt={day_of(prediction_id)}/{prediction_id}.json"


def correction_key(feedback_id: str) -> str:
    """Return the key of a correction; raise `InvalidInput` for a malformed id."""
    return f"{FEEDBACK_PREFIX}dt={day_of(feedback_id)}/{feedback_id}.json"


def review_key(feedback_id: str) -> str:
    """Return the key of the review of a correction; raise `InvalidInput` for a malformed id."""
    return f"{FEEDBACK_PREFIX}dt={day_of(feedback_id)}/{feedback_id}{REVIEW_SUFFIX}"


def revision_key(revision_id: str) -> str:
    """Return the key of a revision; raise `InvalidInput` for a malformed id."""
    return f"{FEEDBACK_PREFIX}dt={day_of(revision_id)}/{revision_id}{REVISION_SUFFIX}"


def record_kind(key: str) -> type[Correction] | type[Review] | type[Revision]:
    """Return the class of the object under `feedback/` that has this key."""
    if key.endswith(REVIEW_SUFFIX):
        return Review
    return Revision if key.endswith(REVISION_SUFFIX) else Correction


def is_correction_key(key: str) -> bool:
    """Return whether a key under `feedback/` is that of a correction."""
    return key.endswith(".json") and not key.endswith((REVIEW_SUFFIX, REVISION_SUFFIX))


def image_key(sha256: str) -> str:
    """Return the key of a photo with this SHA-256."""
    return f"{PHOTO_PREFIX}{sha256}"


def new_id(now: datetime | None = None) -> str:
    """Return a UUID of version 7 (RFC 9562); it sorts after the ids of earlier milliseconds."""
    milliseconds = int((now.timestamp() if now else time.time()) * 1000)
    bits = milliseconds << 80 | int.from_bytes(os.urandom(10))
    bits = bits & ~(0xF << 76) | UUID_VERSION << 76
    bits = bits & ~(0b11 << 62) | 0b10 << 62
    return str(uuid.UUID(int=bits))


def created_at(identifier: str) -> datetime:
    """Return the creation time of an id; raise `InvalidInput` for a malformed one."""
    return datetime.fromtimestamp((_parsed(identifier).int >> 80) / 1000, tz=UTC)


def day_of(identifier: str) -> str:
    """Return the creation day (UTC) of an id as in the keys, YYYY-MM-DD."""
    return created_at(identifier).date().isoformat()


def _parsed(identifier: str) -> uuid.UUID:
    try:
        parsed = uuid.UUID(identifier)
        if parsed.version == UUID_VERSION and str(parsed) == identifier and parsed.int >> 80 < YEAR_10000_MS:
            return parsed
    except ValueError:
        pass
    raise InvalidInput(f"{identifier[:60]!r} is not a UUID of version 7 in canonical form")
