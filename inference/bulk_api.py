"""Requests and responses of `POST /feedback/bulk`."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from inference.feedback_api import EXAMPLE_CORRECTION, MAX_BULK, CategoryCode, Comment, CorrectionView, RecordId
from inference.http.api_models import RequestModel, ResponseModel

BulkAction = Literal["approve", "reject", "correct", "undo"]


class BulkDecision(RequestModel):
    """A decision about one correction."""

    feedback_id: RecordId
    action: BulkAction
    code: CategoryCode | None = Field(default=None, description="The right category; required by `correct` only.")
    comment: Comment | None = None

    @model_validator(mode="after")
    def _has_code(self) -> Self:
        if (self.code is not None) != (self.action == "correct"):
            raise ValueError("`correct` needs a code, and only it has one")
        return self


class BulkRequest(RequestModel):
    """Decisions that are carried out one after the other, each for itself."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"items": [{"feedback_id": "019ab0f3-0000-7c3a-9d55-0c8f6a4be222", "action": "approve"}]}]
        }
    )

    items: Annotated[list[BulkDecision], Field(min_length=1, max_length=MAX_BULK)]


class BulkProblem(ResponseModel):
    """Why one decision was not carried out (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


class BulkResult(ResponseModel):
    """What became of one decision: the correction, or a problem."""

    feedback_id: str
    status: int = Field(description="Status that the request would have for this correction only.")
    correction: CorrectionView | None
    problem: BulkProblem | None


class BulkResponse(ResponseModel):
    """What became of each decision, in the order of the request."""

    items: list[BulkResult]


EXAMPLE_BULK_RESPONSE = {
    "items": [
        {
            "feedback_id": "019ab0f3-0000-7c3a-9d55-0c8f6a4be222",
            "status": 200,
            "correction": EXAMPLE_CORRECTION,
            "problem": None,
        }
    ]
}
