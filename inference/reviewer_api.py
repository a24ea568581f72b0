"""Requests and responses of `GET /quality/reviewers`."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from inference.http.api_models import ResponseModel


class ReviewerQualityParameters(BaseModel):
    """Query parameters of `GET /quality/reviewers`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: int = Field(default=90, ge=1, le=366, description="Days of corrections and known answers, the last ones.")


class ReviewerQuality(ResponseModel):
    """How well the labels of a user agree with those of others, and with known answers."""

    user: str
    comparisons: int = Field(description="Pairs of this user and another one who labelled the same product.")
    agreement: float | None = Field(description="Share of the pairs with the same category; null without a pair.")
    known_answers: int = Field(description="Products with a known answer that the user labelled.")
    right: int = Field(description="Those that the user labelled with the known category.")


class ReviewerQualityPage(ResponseModel):
    """Quality of all users with a comparison or a known answer, by name."""

    since: datetime
    items: list[ReviewerQuality]
    next_cursor: None = Field(default=None, description="Null: the page has all users.")


EXAMPLE_REVIEWER_QUALITY = {
    "since": "2026-01-01T00:00:00Z",
    "items": [{"user": "ann", "comparisons": 40, "agreement": 0.95, "known_answers": 10, "right": 9}],
    "next_cursor": None,
}
