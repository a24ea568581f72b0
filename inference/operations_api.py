"""Requests and responses of `/releases`, `/quality`, `/suspects` and `/drift`.

The feedback service builds them; the gateway publishes them in its OpenAPI document.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from inference.http.api_models import RequestModel, ResponseModel
from product_classifier.monitoring.drift_windows import WINDOW_ID, DriftWindow
from product_classifier.release_history.release_actions import ActionKind
from product_classifier.release_history.release_records import RELEASE_ID

ReleaseId = Annotated[str, Field(pattern=RELEASE_ID)]
ReleaseState = Literal["champion", "canary", "shadow", "former champion", "refused", "not compared"]
Share = Annotated[float, Field(ge=0, le=1)]
MAX_RELEASES = 100


class ReleaseListParameters(BaseModel):
    """Query parameters of `GET /releases`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(default=20, ge=1, le=MAX_RELEASES, description="Releases of one page.")
    cursor: ReleaseId | None = Field(default=None, description="`next_cursor` of the page before.")


class VerdictView(ResponseModel):
    """What the gate decided about a release."""

    promoted: bool
    champion: str | None = Field(description="The release it was compared with.")
    reasons: list[str]
    decided: datetime


class ReleaseView(ResponseModel):
    """A published release."""

    release: str
    created: datetime
    state: ReleaseState
    weighted_f1: float | None = Field(description="Of the fusion on the hold-out; null if unknown.")
    text_weighted_f1: float | None
    image_weighted_f1: float | None
    hold_out: str = Field(description="Digest of the hold-out: scores on different ones cannot be compared.")
    data_revision: str
    products: int | None = Field(description="Labelled products it was trained with; null if unknown.")
    categories: int
    corrections: int | None = Field(description="Corrections it was trained with; null if the snapshot is lost.")
    verdict: VerdictView | None = Field(description="Null before the gate has decided, and for imported releases.")


class LabelCount(ResponseModel):
    """A number of products of a category."""

    code: int | str
    label: str
    products: int


class ReleaseDetailView(ReleaseView):
    """A published release with its data, corrections and metrics."""

    git_commit: str | None
    mlflow_runs: dict[str, str] = Field(description="Ids of the MLflow runs by kind of model.")
    corrections_snapshot: str | None = Field(description="SHA-256 of the snapshot of corrections.")
    products_by_category: list[LabelCount] = Field(description="Most products first.")
    corrections_by_category: list[LabelCount] = Field(description="Most corrections first.")
    metrics: dict[str, JsonValue] = Field(description="Scores by kind of model, and by category.")
    gate_metrics: dict[str, JsonValue] = Field(description="What the gate compared; empty without a verdict.")


class ReleasePage(ResponseModel):
    """A page of releases, newest first."""

    items: list[ReleaseView]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")
    champion: str | None = Field(description="The release in service.")


class CanaryRequest(RequestModel):
    """How much traffic a release gets beside the champion."""

    share: Share = Field(default=0.1, description="Part of the requests that it responds to; 0 ends the canary.")
    shadow: bool = Field(default=False, description="Send it copies of the requests instead, only to compare.")


class ReleaseActionReceipt(ResponseModel):
    """An action on releases that was requested."""

    action_id: str
    release: str = Field(description="The release that it deploys or routes to.")
    status_url: str


class ReleaseActionView(ResponseModel):
    """An action on releases."""

    action_id: str
    kind: ActionKind
    release: str = Field(description="The release that it deploys or routes to; empty where a canary is ended.")
    share: float
    shadow: bool
    requested_by: str
    created: datetime
    state: Literal["active", "succeeded", "failed"]
    reason: str = Field(description="What was done, or why it failed; empty while it is active.")
    finished: datetime | None


class QualityParameters(BaseModel):
    """Query parameters of `GET /quality`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: ReleaseId | None = Field(default=None, description="Default: the release in service.")
    days: int = Field(default=90, ge=1, le=366, description="Days of corrections, the last ones.")


class ModelScores(ResponseModel):
    """Scores of one kind of model on the hold-out."""

    weighted_f1: float
    macro_f1: float
    accuracy: float
    ece: float = Field(description="Expected calibration error of the confidence.")
    items: int
    coverage_at_99: float = Field(description="Largest share of the products with a precision of 99 %.")


class CategoryQuality(ResponseModel):
    """Scores of one category on the hold-out."""

    code: int | str
    label: str
    precision: float
    recall: float
    f1: float
    items: int
    accepted_coverage: float | None = Field(description="Share of the predictions that need no review.")
    accepted_precision: float | None = Field(description="Share of those that are right.")


class ConfusionView(ResponseModel):
    """Products of one category that are predicted as another."""

    code: int | str
    label: str
    predicted: int | str
    predicted_label: str
    items: int


class CalibrationBin(ResponseModel):
    """Predictions whose confidence is within a range."""

    low: float
    high: float
    items: int
    confidence: float = Field(description="Mean confidence.")
    accuracy: float = Field(description="Share that is right.")


class CoveragePoint(ResponseModel):
    """The largest share of the predictions, most confident first, that has a precision."""

    precision: float
    coverage: float


class ReleaseQuality(ResponseModel):
    """Scores of a release in the course of releases."""

    release: str
    created: datetime
    state: ReleaseState
    hold_out: str
    weighted_f1: float | None
    macro_f1: float | None
    f1_by_category: dict[str, float] = Field(description="By code, as a text.")


class FeedbackDay(ResponseModel):
    """Corrections of one day (UTC), by what became of them."""

    day: str = Field(description="YYYY-MM-DD.")
    corrections: int = Field(description="All of the day, confirmations included.")
    confirmations: int = Field(description="Those whose category is the predicted one.")
    accepted: int = Field(description="Trusted, approved or agreed on.")
    rejected: int
    acceptance_rate: float | None = Field(description="Accepted among accepted and rejected; null without either.")


class QualityView(ResponseModel):
    """Quality of a release, of the releases before it, and the corrections over time."""

    release: str | None = Field(description="Null before the first release.")
    hold_out: str
    scores: dict[str, ModelScores] = Field(description="By `fusion`, `text`, `image`.")
    by_category: list[CategoryQuality] = Field(description="Lowest F1 first.")
    confusions: list[ConfusionView] = Field(
        description="Most products first; empty for releases of earlier versions, which did not store them."
    )
    calibration: list[CalibrationBin] = Field(description="Empty for releases of earlier versions.")
    coverage: list[CoveragePoint] = Field(description="Empty for releases of earlier versions.")
    releases: list[ReleaseQuality] = Field(description="Newest first, at most 50.")
    feedback: list[FeedbackDay] = Field(description="Oldest first; days without corrections are left out.")


class SuspectParameters(BaseModel):
    """Query parameters of `GET /suspects`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: ReleaseId | None = Field(default=None, description="Default: the release in service.")
    code: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="Only products that are labelled with this category."
    )
    limit: int = Field(default=50, ge=1, le=200, description="Suspects of one page.")
    cursor: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,6}$")] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )


class SuspectView(ResponseModel):
    """A training product whose label is probably wrong."""

    product_id: int | str
    designation: str
    description: str
    image_sha256: str | None = Field(description="Photo of the training data, which `GET /photos` may not have.")
    code: int | str
    label: str
    probability: float = Field(description="Of its label, by models that were not trained on it.")
    suggested_code: int | str
    suggested_label: str
    suggested_probability: float
    copies: int = Field(description="Near copies that are suspects too.")


class SuspectPage(ResponseModel):
    """A page of suspects, the most probable error first."""

    release: str | None
    labels: int = Field(description="Labels that were examined.")
    items: list[SuspectView]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")


class DriftParameters(BaseModel):
    """Query parameters of `GET /drift`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(default=20, ge=1, le=100, description="Windows of one page.")
    cursor: Annotated[str, Field(pattern=WINDOW_ID)] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )


class DriftPage(ResponseModel):
    """A page of monitored windows, newest first."""

    windows: list[DriftWindow]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")
