"""Requests and responses of `/feedback/export` and `/feedback/import`."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from inference.feedback_api import CategoryCode
from inference.http.api_models import Moment, ResponseModel
from product_classifier.feedback.correction_filter import Kind
from product_classifier.feedback.label_formats import LabelFormat
from product_classifier.feedback.records import Text
from product_classifier.feedback.trust import State

EXPORT_MEDIA_TYPES = ("text/csv", "application/x-ndjson", "application/json")
"""Of files with labels: CSV, JSON Lines, Label Studio tasks."""
LabelTasks = list[dict[str, JsonValue]]
"""Tasks of Label Studio."""
MAX_PROBLEMS = 1000
"""Rows with a problem that a response lists."""


class ExportParameters(BaseModel):
    """Query parameters of `GET /feedback/export`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: LabelFormat = Field(default="csv", description="`label-studio` is a JSON list of tasks.")
    state: State | None = Field(default=None, description="Only corrections in this state.")
    category: CategoryCode | None = Field(default=None, description="Only corrections with this category.")
    kind: Kind | None = Field(default=None, description="Only confirmations, or only other corrections.")
    user: Annotated[Text, Field(min_length=1, max_length=255)] | None = Field(
        default=None, description="Only corrections of this user."
    )
    since: Moment | None = Field(default=None, description="Only corrections at this time or later.")
    until: Moment | None = Field(default=None, description="Only corrections before this time.")


class ImportParameters(BaseModel):
    """Query parameters of `POST /feedback/import`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: LabelFormat = Field(default="csv", description="As of `GET /feedback/export`; CSV of any dialect.")


class RowProblem(ResponseModel):
    """Why a row was not imported."""

    row: int = Field(description="Line of the file from 1, of `label-studio` the number of the task.")
    detail: str


class ImportReport(ResponseModel):
    """What became of the rows of a file."""

    rows: int
    created: int = Field(description="Rows that are corrections of the reviewer now.")
    repeated: int = Field(description="Rows with the content of one that was imported before.")
    refused: int = Field(description="Rows with a problem.")
    problems: list[RowProblem] = Field(description=f"The first {MAX_PROBLEMS} of them.")


EXAMPLE_IMPORT_REPORT = {
    "rows": 3,
    "created": 1,
    "repeated": 1,
    "refused": 1,
    "problems": [{"row": 4, "detail": "code: category 'tee' does not exist; the nearest are 'tea'"}],
}
