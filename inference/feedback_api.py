"""Requests and responses of `/feedback`, `/retrain` and `/taxonomy/changes`.

The feedback service validates and builds them; the gateway publishes them in its OpenAPI document.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from inference.http.api_models import (
    CandidateView,
    CategoryLabel,
    Moment,
    ProductInput,
    RequestModel,
    ResponseModel,
)
from product_classifier.decisions import Decision
from product_classifier.feedback.correction_filter import Kind
from product_classifier.feedback.index_queries import Order
from product_classifier.feedback.records import Identifier, ProductContent, Text
from product_classifier.feedback.trust import State
from product_classifier.limits import COMMENT_CHARACTERS
from product_classifier.retraining import RunView
from product_classifier.retraining.run_records import RunId
from product_classifier.stored_taxonomy.applied_change import ChangeEffect
from product_classifier.taxonomy.change_file import Change
from product_classifier.taxonomy.stored_codes import from_stored

IDENTIFIER = r"^[0-9a-d][0-9a-f]{7}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
"""UUID version 7 (RFC 9562), made by this product."""
IDEMPOTENCY_KEY = r"^[\x20-\x7e]{1,255}$"
MAX_PAGE = 200
SUBJECTS = ("prediction_id", "product", "item_id")
"""What a correction is of: tags of `FeedbackRequest`."""
MAX_BULK = 200
"""Decisions of one request."""
MIN_SECRET_CHARACTERS = 32
"""Shortest token with which the gateway identifies itself to the feedback service."""

Comment = Annotated[Text, Field(max_length=COMMENT_CHARACTERS)]
RecordId = Annotated[Identifier, Field(json_schema_extra={"pattern": IDENTIFIER})]
CategoryCode = Annotated[
    str,
    BeforeValidator(from_stored),
    WithJsonSchema(
        {
            "type": ["string", "integer"],
            "description": "Code of the right category, as `GET /categories` lists it.",
        }
    ),
]
GIVEN = "The code as it was given, if a change of the taxonomy maps it to another one."
DECIDED = "False if a change of the taxonomy left the product without a category, or split it: decide it anew."
SearchText = Annotated[Text, Field(min_length=1, max_length=200)]
"""Value of the query parameter `q`."""
IdempotencyKey = Annotated[
    str, Field(pattern=IDEMPOTENCY_KEY, description="A repeated key with the same body returns the first response.")
]
"""Value of the header `Idempotency-Key`."""


class PredictionFeedback(RequestModel):
    """The right category of a prediction."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"prediction_id": "019ab0f2-7d1e-7c3a-9d55-0c8f6a4be111", "code": "tea > black"}]
        }
    )

    prediction_id: RecordId
    product: None = None
    code: CategoryCode
    comment: Comment | None = None


class ProductFeedback(RequestModel):
    """The right category of a product."""

    prediction_id: None = None
    product: ProductInput
    code: CategoryCode
    comment: Comment | None = None


class QueueFeedback(RequestModel):
    """The right category of an item of the queue that is leased to the user."""

    prediction_id: None = None
    product: None = None
    item_id: RecordId
    code: CategoryCode
    comment: Comment | None = None


def _subject(value: object) -> str | None:
    """Return the tag of a feedback request; None if it has no subject or two."""
    fields = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    given = [name for name in SUBJECTS if fields.get(name) is not None]
    return given[0] if len(given) == 1 else None


FeedbackRequest = Annotated[
    Annotated[PredictionFeedback, Tag("prediction_id")]
    | Annotated[ProductFeedback, Tag("product")]
    | Annotated[QueueFeedback, Tag("item_id")],
    Discriminator(
        _subject,
        custom_error_type="feedback_subject",
        custom_error_message="give a prediction_id, a product or an item_id, one of the three",
    ),
]
"""The body of `POST /feedback`."""


class ReplacementRequest(RequestModel):
    """The right category, if neither the predicted nor the corrected one is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "tea > white"}]})

    code: CategoryCode
    comment: Comment | None = None


class ReviewRequest(RequestModel):
    """A reviewer's remark about a decision."""

    comment: Comment | None = None


class ListParameters(BaseModel):
    """Query parameters of `GET /feedback`."""

    model_config = ConfigDict(frozen=True)

    state: State | None = Field(default=None, description="Only corrections in this state.")
    category: CategoryCode | None = Field(default=None, description="Only corrections with this category.")
    kind: Kind | None = Field(
        default=None, description="Only confirmations, which name the predicted category, or only other corrections."
    )
    min_confidence: float | None = Field(
        default=None, ge=0, le=1, description="Only corrections of predictions with at least this confidence."
    )
    max_confidence: float | None = Field(
        default=None, ge=0, le=1, description="Only corrections of predictions with at most this confidence."
    )
    user: Annotated[Text, Field(min_length=1, max_length=255)] | None = Field(
        default=None, description="Only corrections of this user; reviewers only."
    )
    since: Moment | None = Field(default=None, description="Only corrections at this time or later.")
    until: Moment | None = Field(default=None, description="Only corrections before this time.")
    q: SearchText | None = Field(
        default=None,
        description="Only products whose texts have a word that starts with each of these words; case and accents are"
        " ignored, and so is what lists cut off.",
    )
    order: Order = Field(
        default="newest",
        description="Newest first, or `uncertain`: those of the least confident predictions first, then those without a"
        " prediction. Send it with each `cursor`.",
    )
    limit: int = Field(default=50, ge=1, le=MAX_PAGE, description="Corrections of one page.")
    cursor: RecordId | None = Field(default=None, description="`next_cursor` of the page before.")


class CategoryVotes(ResponseModel):
    """A category and the users who name it."""

    code: int | str
    label: str
    users: int


class FeedbackReceipt(ResponseModel):
    """A correction that is stored durably."""

    feedback_id: str
    state: State
    code: int | str = Field(description="The category, as the newest version of the taxonomy reads it.")
    label: str
    given: int | str | None = Field(default=None, description=GIVEN, exclude_if=lambda code: code is None)
    decided: bool = Field(default=True, description=DECIDED, exclude_if=lambda decided: decided)
    created: datetime
    known_answer: int | str | None = Field(
        default=None,
        description="The category that a reviewer decided, of an item of the queue that tests how well users label:"
        " the answer is no correction.",
        exclude_if=lambda code: code is None,
    )
    replaces: str | None = Field(
        default=None,
        description="The user's earlier correction of this product with another category: only the newest counts.",
    )


class CorrectedPrediction(ResponseModel):
    """The prediction that a correction is of."""

    prediction_id: str
    category: CategoryLabel | None = Field(description="Null until the prediction has been read.")
    confidence: float | None = Field(description="Null until the prediction has been read.")
    decision: Decision | None
    top: list[CandidateView] = Field(description="The most probable categories; empty until it has been read.")
    release: str | None


class Agreement(ResponseModel):
    """What the users who labelled a product say about it."""

    users: int = Field(description="Users whose newest correction of the product names this category.")
    others: list[CategoryVotes] = Field(description="Other categories that newest corrections of the product name.")
    waits_for: list[Literal["reviewer", "second_user"]] = Field(
        description="Who must agree before the correction counts, one of them is enough; empty if it counts or was"
        " decided."
    )


class CorrectionView(ResponseModel):
    """A correction with its state and the last decision about it."""

    feedback_id: str
    state: State
    counts: bool = Field(description="Whether the next training run uses it.")
    code: int | str = Field(description="The category, as the newest version of the taxonomy reads it.")
    label: str
    given: int | str | None = Field(default=None, description=GIVEN, exclude_if=lambda code: code is None)
    decided: bool = Field(default=True, description=DECIDED, exclude_if=lambda decided: decided)
    user: str
    role: str
    comment: str
    created: datetime
    prediction_id: str | None
    predicted: int | str | None = Field(description="The category that was predicted.")
    confidence: float | None = Field(
        default=None, description="Confidence of the prediction; null without one, and until it has been read."
    )
    release: str | None
    product: ProductContent | None = Field(
        description="Texts of more than 500 characters are cut and end with an ellipsis."
    )
    is_cut: bool = Field(description="Whether a text of the product is cut.")
    reviewer: str | None = Field(description="Who decided last; null for users who are not reviewers.")
    reviewed: datetime | None = Field(description="When it was decided.")
    kind: Kind = Field(default="correction", description="A confirmation names the category that was predicted.")
    path: list[str] | None = Field(
        default=None, description="Labels from the root to the category, if it has a parent."
    )
    prediction: CorrectedPrediction | None = Field(default=None, description="Null for a correction of a product.")
    agreement: Agreement | None = Field(default=None, description="Null without a product.")
    superseded_by: str | None = Field(
        default=None,
        description="The user's newer correction of the product, with another category, if the state is `superseded`.",
    )
    replaced_by: str | None = Field(
        default=None, description="The correction of a reviewer in its place, if the state is `corrected`."
    )


EXAMPLE_CORRECTION = {
    "feedback_id": "019ab0f3-0000-7c3a-9d55-0c8f6a4be222",
    "state": "pending",
    "counts": False,
    "code": "tea > green",
    "label": "Green tea",
    "path": ["Tea", "Green tea"],
    "kind": "correction",
    "user": "ann",
    "role": "user",
    "comment": "",
    "created": "2026-01-01T12:01:00Z",
    "prediction_id": "019ab0f2-7d1e-7c3a-9d55-0c8f6a4be111",
    "prediction": {
        "prediction_id": "019ab0f2-7d1e-7c3a-9d55-0c8f6a4be111",
        "category": {"code": "tea > black", "label": "Black tea", "path": ["Tea", "Black tea"]},
        "confidence": 0.61,
        "decision": "review",
        "top": [{"code": "tea > black", "label": "Black tea", "probability": 0.61}],
        "release": "r-20260101T120000-1a2b3c4d",
    },
    "predicted": "tea > black",
    "confidence": 0.61,
    "release": "r-20260101T120000-1a2b3c4d",
    "product": {"designation": "Sencha, 100 g", "description": "", "image_sha256": None},
    "is_cut": False,
    "reviewer": None,
    "reviewed": None,
    "agreement": {"users": 1, "others": [], "waits_for": ["reviewer", "second_user"]},
    "superseded_by": None,
    "replaced_by": None,
}


class CorrectionPage(ResponseModel):
    """A page of corrections, in the order of the request."""

    items: list[CorrectionView] = Field(description="Fewer than `limit` if the page would have more than 1 MiB.")
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")
    total: int | None = Field(
        description="Corrections that match the filters, on all pages; null with other filters than `state`, and"
        " `user` of a reviewer."
    )
    counts: dict[State, int] = Field(
        default_factory=dict, description="All corrections that the user may list, by state, whatever the filters."
    )
    is_complete: bool = Field(
        description="False while the index of corrections is being built: older ones and reviews may be missing."
    )


class RetrainProgress(ResponseModel):
    """How many trusted corrections no run has used, and how many start one."""

    corrections: int
    needed: int


class RunListParameters(BaseModel):
    """Query parameters of `GET /retrain`."""

    model_config = ConfigDict(frozen=True)

    limit: int = Field(default=50, ge=1, le=MAX_PAGE, description="Runs of one page.")
    cursor: RunId | None = Field(default=None, description="`next_cursor` of the page before.")


class RunPage(ResponseModel):
    """A page of training runs, newest first."""

    items: list[RunView]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")
    runs: list[RunView] = Field(description="The same as `items`, under its earlier name.", deprecated=True)
    progress: RetrainProgress


class RunReceipt(ResponseModel):
    """A training run that was requested."""

    run_id: str
    status_url: str


class TaxonomyChangeParameters(BaseModel):
    """Query parameters of `GET /taxonomy/changes`."""

    model_config = ConfigDict(frozen=True)

    limit: int = Field(default=50, ge=1, le=MAX_PAGE, description="Changes of one page.")
    cursor: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,9}$")] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )


class TaxonomyChangeOptions(BaseModel):
    """Query parameters of `POST /taxonomy/changes`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dry_run: bool = Field(default=False, description="Whether to apply nothing, and return what the change would do.")


class OutcomeCounts(ResponseModel):
    """Numbers by what becomes of the category; those of categories that do not change are not counted."""

    kept: int = Field(description="The code stays.")
    mapped: int = Field(description="Count at another category.")
    undecided: int = Field(description="Are to be decided anew, after a split.")
    uncategorized: int = Field(description="Count at no category.")


class TaxonomyChangeView(ResponseModel):
    """A change file and what it does to products and corrections, at the time it was applied."""

    model_config = ConfigDict(frozen=True, validate_by_name=True, serialize_by_alias=True)

    from_version: int = Field(alias="from")
    to_version: int = Field(alias="to")
    changes: tuple[Change, ...]
    created: datetime
    actor: str = Field(description="Who applied it, or tries it.")
    applied: bool = Field(description="False in the response to a dry run of a change that was not applied before.")
    products: OutcomeCounts = Field(
        description="Labelled products of the release in service; 0 if an earlier version trained it."
    )
    corrections: OutcomeCounts
    effects: tuple[ChangeEffect, ...] = Field(description="By changed category, in the order of the file.")


class TaxonomyChangePage(ResponseModel):
    """A page of applied changes, newest first."""

    items: list[TaxonomyChangeView] = Field(description="Fewer than `limit` if the page would have more than 1 MiB.")
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")
