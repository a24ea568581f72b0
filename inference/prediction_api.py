"""Requests and responses of `GET /predictions`.

The feedback service, which has the indexes, builds them; the gateway publishes them in its OpenAPI document.
"""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from inference.feedback_api import MAX_PAGE, CategoryCode, RecordId, SearchText
from inference.http.api_models import CandidateView, CategoryLabel, ModalitiesView, Moment, Probability, ResponseModel
from product_classifier.decisions import Decision
from product_classifier.feedback.records import ProductContent, Text
from product_classifier.feedback.trust import State


class PredictionListParameters(BaseModel):
    """Query parameters of `GET /predictions`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: Moment | None = Field(default=None, description="Only predictions at this time or later.")
    until: Moment | None = Field(default=None, description="Only predictions before this time.")
    category: CategoryCode | None = Field(default=None, description="Only predictions of this category.")
    decision: Decision | None = Field(default=None, description="Only predictions with this decision.")
    release: Annotated[Text, Field(max_length=200)] | None = Field(
        default=None, description="Only predictions by this release."
    )
    q: SearchText | None = Field(
        default=None,
        description="Only products whose texts have a word that starts with each of these words; case and accents are"
        " ignored, and so is what lists cut off.",
    )
    limit: int = Field(default=50, ge=1, le=MAX_PAGE, description="Predictions of one page.")
    cursor: RecordId | None = Field(default=None, description="`next_cursor` of the page before.")


class GivenFeedback(ResponseModel):
    """A correction or confirmation of a prediction."""

    feedback_id: str
    code: int | str
    label: str
    state: State
    user: str | None = Field(description="Who submitted it; null for users who are not reviewers, but for their own.")
    created: datetime


class ListedPrediction(ResponseModel):
    """A stored prediction with the product it is of, and the feedback on it."""

    prediction_id: str
    created: datetime
    user: str
    product: ProductContent = Field(
        description="In a list, texts of more than 500 characters are cut and end with an ellipsis. The photo is at"
        " `GET /photos/{image_sha256}`."
    )
    is_cut: bool = Field(description="Whether a text of the product is cut.")
    category: CategoryLabel = Field(description="As the newest version of the taxonomy reads it.")
    confidence: Probability
    decision: Decision | None = Field(description="Null for predictions from before there were decisions.")
    top: list[CandidateView] = Field(description="The most probable categories, as they were predicted.")
    modalities: ModalitiesView
    degraded: bool
    release: str
    feedback: list[GivenFeedback] = Field(description="Corrections and confirmations of it, newest first; at most 20.")


class ListedPredictionPage(ResponseModel):
    """A page of predictions, newest first."""

    items: list[ListedPrediction] = Field(description="Fewer than `limit` if the page would have more than 1 MiB.")
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")
    is_complete: bool = Field(
        description="False while the index of predictions is being built: older ones may be missing."
    )


EXAMPLE_LISTED_PREDICTION = {
    "prediction_id": "019ab0f2-7d1e-7c3a-9d55-0c8f6a4be111",
    "created": "2026-01-01T12:00:00Z",
    "user": "ann",
    "product": {"designation": "Earl Grey, 100 g", "description": "", "image_sha256": None},
    "is_cut": False,
    "category": {"code": "tea > black", "label": "Black tea", "path": ["Tea", "Black tea"]},
    "confidence": 0.61,
    "decision": "review",
    "top": [{"code": "tea > black", "label": "Black tea", "probability": 0.61}],
    "modalities": {"text": {"code": "tea > black", "label": "Black tea", "probability": 0.6}, "image": None},
    "degraded": False,
    "release": "r-20260101T120000-1a2b3c4d",
    "feedback": [
        {
            "feedback_id": "019ab0f3-0000-7c3a-9d55-0c8f6a4be222",
            "code": "tea > green",
            "label": "Green tea",
            "state": "pending",
            "user": "ann",
            "created": "2026-01-01T12:01:00Z",
        }
    ],
}
