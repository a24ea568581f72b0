"""Requests and responses of `/batches`: the feedback service builds them, the gateway publishes them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from inference.feedback_api import RecordId
from inference.http.api_models import ResponseModel

CSV, ZIP = "text/csv", "application/zip"
RESULT_FILE = "predictions.csv"
ColumnName = Annotated[str, Field(max_length=200)]


class BatchParameters(BaseModel):
    """Query parameters of `POST /batches`: the names of the columns, where they are not recognized."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(max_length=200)] = Field(default="", description="Name of the file, for lists.")
    id: ColumnName = Field(default="", description="Column of the product's id.")
    designation: ColumnName = Field(default="", description="Column of the title.")
    description: ColumnName = Field(default="", description="Column of the text.")
    image: ColumnName = Field(default="", description="Column of the photo's name in the ZIP, or of its URL.")


class BatchListParameters(BaseModel):
    """Query parameters of `GET /batches`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(default=20, ge=1, le=100, description="Batches of one page.")
    cursor: RecordId | None = Field(default=None, description="`next_cursor` of the page before.")


class UploadProblemView(ResponseModel):
    """A row of the file that is no product."""

    line: int = Field(description="Line of the file, the header is line 1.")
    field: str
    value: str
    reason: str


class BatchView(ResponseModel):
    """A file that is classified in the background."""

    batch_id: str
    file_name: str
    state: Literal["waiting", "running", "succeeded", "failed"]
    created: datetime
    finished: datetime | None
    reason: str = Field(description="Why it failed; empty otherwise.")
    rows: int = Field(description="Rows of the file, without the header.")
    classified: int = Field(description="Rows that are classified by now.")
    accepted: int | None = Field(description="Predictions that need no review; null before the end.")
    rejected: int = Field(description="Rows that are no products.")
    problems: list[UploadProblemView] = Field(description="The first 100 rejected rows, as of the upload.")
    release: str | None = Field(description="Release that classified it; null before the end.")
    result_url: str | None = Field(description="Where the predictions are; null before the end.")


class BatchPage(ResponseModel):
    """A page of the user's batches, newest first."""

    items: list[BatchView]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")
