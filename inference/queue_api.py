"""Requests and responses of `/queue`."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from inference.feedback_api import CorrectedPrediction
from inference.http.api_models import CategoryLabel, ResponseModel
from product_classifier.feedback.queue_records import QueueReason
from product_classifier.feedback.records import ProductContent

MAX_ITEMS = 20


class QueueParameters(BaseModel):
    """Query parameters of `GET /queue`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: QueueReason | None = Field(default=None, description="Only items with this reason.")
    limit: int = Field(default=5, ge=1, le=MAX_ITEMS, description="Items to lease, those the user has included.")


class QueueItem(ResponseModel):
    """A product to label, leased to the user."""

    item_id: str = Field(description="For `POST /feedback` with `item_id`, and `POST /queue/{id}/skip`.")
    reason: QueueReason
    detail: str = Field(description="About the reason; may be empty.")
    score: float | None = Field(description="The greater, the more urgent among items of this reason.")
    leased_until: datetime = Field(description="Until then no other user gets it.")
    product: ProductContent = Field(description="Long texts are cut. The photo is at `GET /photos/{image_sha256}`.")
    is_cut: bool
    prediction: CorrectedPrediction | None
    feedback_id: str | None = Field(description="The correction to decide again, or one that others contradict.")
    label: CategoryLabel | None = Field(description="Category the product has now, if it has one.")
    suggested: CategoryLabel | None = Field(
        description="Category that may be right, with the reason `suspected_label`."
    )


class QueuePage(ResponseModel):
    """Items leased to the user."""

    items: list[QueueItem] = Field(description="Empty if nothing is left to label.")
    next_cursor: None = Field(default=None, description="Null: send the request again for the next items.")
    waiting: int = Field(description="Candidates, those of other users included; at most some hundreds per reason.")


EXAMPLE_QUEUE_PAGE = {
    "items": [
        {
            "item_id": "019ab0f2-7d1e-7c3a-9d55-0c8f6a4be111",
            "reason": "uncertain",
            "detail": "confidence 0.41",
            "score": 0.59,
            "leased_until": "2026-01-01T12:10:00Z",
            "product": {"designation": "Earl Grey, 100 g", "description": "", "image_sha256": None},
            "is_cut": False,
            "prediction": {
                "prediction_id": "019ab0f2-7d1e-7c3a-9d55-0c8f6a4be111",
                "category": {"code": "tea > black", "label": "Black tea", "path": ["Tea", "Black tea"]},
                "confidence": 0.41,
                "decision": "review",
                "top": [{"code": "tea > black", "label": "Black tea", "probability": 0.41}],
                "release": "r-20260101T120000-1a2b3c4d",
            },
            "feedback_id": None,
            "label": None,
            "suggested": None,
        }
    ],
    "next_cursor": None,
    "waiting": 17,
}
