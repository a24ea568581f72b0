"""What the feedback service reads and answers."""

import binascii
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from product_classifier.errors import InvalidImage
from product_classifier.feedback.records import Code, Correction, Identifier, ProductContent, Review, Text
from product_classifier.feedback.trust import State
from product_classifier.images.headers import read_header
from product_classifier.retraining import RunView
from product_classifier.taxonomy import BY_CODE

MAX_DESIGNATION = 10_000
MAX_DESCRIPTION = 200_000
MAX_COMMENT = 2_000

Comment = Annotated[Text, Field(max_length=MAX_COMMENT)]


class Body(BaseModel):
    """A JSON object without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ProductBody(Body):
    """A product as a person describes it; the photo in base64."""

    designation: Annotated[Text, Field(max_length=MAX_DESIGNATION)] | None = None
    description: Annotated[Text, Field(max_length=MAX_DESCRIPTION)] | None = None
    image: str | None = None

    @model_validator(mode="after")
    def _something_to_look_at(self) -> Self:
        if not (self.designation or self.description or self.image):
            raise ValueError("a product has a designation, a description or an image")
        return self

    def photo(self) -> bytes:
        """Return the photo, checked, or nothing."""
        if not self.image:
            return b""
        try:
            photo = binascii.a2b_base64(self.image, strict_mode=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidImage(f"product.image is not base64: {error}") from error
        read_header(photo)
        return photo

    def content(self, image_sha256: str | None) -> ProductContent:
        """Return the product as it is kept."""
        return ProductContent(
            designation=self.designation or "", description=self.description or "", image_sha256=image_sha256
        )


class FeedbackBody(Body):
    """What the category should have been, of a prediction or of a product."""

    prediction_id: Identifier | None = None
    product: ProductBody | None = None
    code: Code
    comment: Comment | None = None

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if (self.prediction_id is None) == (self.product is None):
            raise ValueError("name a prediction_id or give a product, one of the two")
        return self


class ReviewBody(Body):
    """What a reviewer adds to a decision."""

    comment: Comment | None = None


class CorrectionView(Body):
    """A correction as people see it; `counts` says whether the next run learns from it."""

    feedback_id: str
    state: State
    counts: bool
    code: int
    label: str
    user: str
    role: str
    comment: str
    created: datetime
    prediction_id: str | None
    predicted: int | None
    release: str | None
    product: ProductContent | None
    reviewer: str | None
    reviewed: datetime | None


class CorrectionPage(Body):
    """Newest first; `next_cursor` asks for the ones after."""

    items: list[CorrectionView]
    next_cursor: str | None
    total: int


class Progress(Body):
    """How far it is to the next run."""

    corrections: int
    needed: int


class RunPage(Body):
    """All runs, newest first."""

    runs: list[RunView]
    progress: Progress


class RunAsked(Body):
    """A run was claimed; the trigger starts it."""

    run_id: str
    status_url: str


class Acknowledged(Body):
    """A correction is durable."""

    feedback_id: str
    state: Literal["pending", "trusted", "approved", "agreed", "rejected"]
    code: int
    label: str
    created: datetime


def view(correction: Correction, state: State, review: Review | None) -> CorrectionView:
    """Return a correction as people see it."""
    return CorrectionView(
        **correction.model_dump(exclude={"product"}),
        product=correction.product,
        state=state,
        counts=state in {"trusted", "approved", "agreed"} and correction.product is not None,
        label=BY_CODE[correction.code].label_fr,
        reviewer=review.reviewer if review else None,
        reviewed=review.created if review else None,
    )
