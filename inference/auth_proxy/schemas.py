"""Request and response models of the gateway.

Those of `/feedback` and `/retrain` are in `inference.feedback_api`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, WithJsonSchema, model_validator

from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.users import USER_NAME
from inference.auth_proxy.predictions.explanation_schemas import ExplanationView
from inference.feedback_api import MAX_PAGE, RecordId
from inference.http.api_models import (
    BLANK_FIELDS,
    NO_NUL,
    AcceptedAncestor,
    CandidateView,
    CategoryLabel,
    ModalitiesView,
    Moment,
    Probability,
    ProductInput,
    RequestModel,
    ResponseModel,
)
from inference.http.problems import Problem, public_message
from product_classifier.audit.audit_events import ActorKind, AuditAction
from product_classifier.decisions import Decision
from product_classifier.limits import BATCH_PRODUCTS, DESCRIPTION_CHARACTERS, DESIGNATION_CHARACTERS

MAX_PASSWORD = 256
TOP = 5
"""Candidates of a prediction."""

EXPLAIN = "Whether to explain the prediction. It costs as much of the rate as 3 (text), 37 (photo) or 40 products."

Password = Annotated[str, StringConstraints(min_length=12, max_length=MAX_PASSWORD)]
PhotoFile = Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary"})]
UploadedFile = Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary"})]
RequestId = Annotated[
    str, Field(description="Identifies the request in logs and problems; the gateway creates one if it is not usable.")
]
EntityTag = Annotated[str, Field(description="`ETag` of an earlier response: 304 without a body if it still holds.")]
RoleName = Annotated[Role, Field(strict=False)]


class TokenRequest(RequestModel):
    """OAuth 2.0 password grant (RFC 6749, section 4.3)."""

    username: Annotated[str, StringConstraints(min_length=1)]
    password: Annotated[str, StringConstraints(min_length=1, max_length=MAX_PASSWORD)]
    grant_type: Annotated[str, Field(json_schema_extra={"enum": ["password"]})] = "password"
    scope: str = ""
    client_id: str = ""
    client_secret: str = ""

    @model_validator(mode="before")
    @classmethod
    def _grant_type_is_supported(cls, fields: Mapping[str, str]) -> Mapping[str, str]:
        """Raise a 400 problem for another grant before its fields, which are other ones, are validated."""
        if (grant_type := fields.get("grant_type", "password")) != "password":
            raise Problem(
                400,
                f"grant_type: {public_message(grant_type)} is not supported; send 'password'",
                error="unsupported_grant_type",
            )
        return fields


class NewUser(RequestModel):
    """A user to create."""

    name: Annotated[str, StringConstraints(pattern=f"^{USER_NAME}$")]
    password: Password
    role: RoleName = Role.USER


class UserChange(RequestModel):
    """Fields to change; tokens issued before are revoked."""

    model_config = ConfigDict(
        json_schema_extra={
            "not": {"properties": {name: {"type": "null"} for name in ("password", "role", "disabled")}},
        }
    )

    password: Password | None = None
    role: RoleName | None = None
    disabled: bool | None = None

    @model_validator(mode="after")
    def _has_a_change(self) -> Self:
        if self.password is None and self.role is None and self.disabled is None:
            raise ValueError("nothing to change; give password, role or disabled")
        return self


class NewKey(RequestModel):
    """An API key to create."""

    name: Annotated[str, StringConstraints(pattern=f"^{USER_NAME}$")]
    role: RoleName = Role.USER
    expires: Moment | None = Field(
        default=None, description="Time in the future from which the key is refused; null: never."
    )


class ProductForm(RequestModel):
    """A product as a form; at least one of the three fields has content."""

    model_config = ConfigDict(json_schema_extra={"not": {"properties": BLANK_FIELDS}})

    designation: Annotated[str, Field(max_length=DESIGNATION_CHARACTERS, pattern=NO_NUL)] = ""
    description: Annotated[str, Field(max_length=DESCRIPTION_CHARACTERS, pattern=NO_NUL)] = ""
    image: Annotated[PhotoFile, Field(description="A complete JPEG, PNG, still WebP or AVIF.")] = b""
    explain: Annotated[bool, Field(description=EXPLAIN)] = False


class PredictInput(ProductInput):
    """A product to classify, and whether to explain the prediction."""

    explain: Annotated[bool, Field(description=EXPLAIN)] | None = None


AnyItem = Annotated[
    Any,
    WithJsonSchema(
        {"description": "Any other value: the response has a problem at this position.", "title": "AnyItem"}
    ),
]
ProductBatch = Annotated[list[PredictInput | AnyItem], Field(min_length=1, max_length=BATCH_PRODUCTS)]
"""Products of `/predict/batch`; one that is invalid does not fail the others, and few may be explained."""


class UserView(ResponseModel):
    """A user, without the password."""

    name: str
    role: Role
    disabled: bool
    created: float = Field(description="Seconds since 1970, UTC.")


class KeyView(ResponseModel):
    """An API key, without its secret."""

    id: str
    name: str
    role: Role
    user: str = Field(description="User name of its predictions and corrections.")
    created: datetime
    created_by: str = Field(description="User whose role limits that of the key.")
    expires: datetime | None = Field(description="Null: never.")
    last_used: datetime | None = Field(description="At most one hour before the last use; null: not used.")


class NewKeyView(KeyView):
    """A new API key with its secret."""

    key: str = Field(description="The bearer token. It is shown this once, and stored nowhere.")


class KeyPage(ResponseModel):
    """All API keys."""

    items: list[KeyView]
    next_cursor: None = Field(default=None, description="Null: the page has all keys.")


class TokenView(ResponseModel):
    """An access token."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a scheme
    expires_in: int = Field(description="Seconds.")


class JwkView(ResponseModel):
    """A public RSA key (RFC 7517)."""

    kid: str
    use: Literal["sig"]
    alg: Literal["RS256"]
    kty: Literal["RSA"]
    n: str
    e: str


class JwksView(ResponseModel):
    """The public keys of the embedded issuer (RFC 7517)."""

    keys: list[JwkView]


class CategoryParameters(BaseModel):
    """Query parameters of `GET /categories`."""

    model_config = ConfigDict(frozen=True)

    q: Annotated[str, Field(max_length=200)] = Field(
        default="",
        description="Only categories whose code, labels and synonyms contain all of these words, best first; case and"
        " accents are ignored.",
    )


class CategoryView(ResponseModel):
    """A category with its labels and its place in the tree."""

    code: int | str
    labels: dict[str, str] = Field(description="By language.")
    parent: int | str | None = Field(description="Code of the category above; null for a root.")
    path: list[str] = Field(description="Labels from the root to the category.")
    products: int | None = Field(
        description="Products labelled with this very category that the release in service was trained with,"
        " corrections included; null if they are not known, as for releases of earlier versions."
    )
    answerable: bool = Field(
        description="Whether it can be predicted; false for inner nodes and categories with too few products."
    )
    guidelines: dict[str, str] = Field(
        description="When a product belongs to it, by language; `und` if the catalogue does not state the language."
    )
    label_fr: str = Field(deprecated="Use labels.fr.")
    label_en: str = Field(deprecated="Use labels.en.")


class CategoryListView(ResponseModel):
    """The taxonomy of the release in service, or what was found in it."""

    version: int = Field(description="Version of the taxonomy.")
    categories: list[CategoryView]


class PredictionView(ResponseModel):
    """The response of `/predict`."""

    prediction_id: str
    category: CategoryLabel
    accepted_at: AcceptedAncestor | None = Field(
        default=None,
        description="If the decision is `review`: the deepest category above that is certain, if there is one.",
        exclude_if=lambda answer: answer is None,
    )
    confidence: Probability
    decision: Decision = Field(
        description="`accept` if predictions of this category with this confidence hold the target precision of the"
        " release, else `review`."
    )
    top: Annotated[list[CandidateView], Field(max_length=TOP)]
    modalities: ModalitiesView
    degraded: bool = Field(description="True if a model that should have been called did not respond.")
    release: str


class ExplainedPredictionView(PredictionView):
    """The response of `/predict` with `explain: true`."""

    explanation: ExplanationView | None
    explanation_problem: str | None = Field(description="Why there is no explanation; the prediction is not affected.")


EXAMPLE_PREDICTION = {
    "prediction_id": "019ab0f2-7d1e-7c3a-9d55-0c8f6a4be111",
    "category": {"code": "tea > black", "label": "Black tea", "path": ["Tea", "Black tea"]},
    "confidence": 0.93,
    "decision": "accept",
    "top": [{"code": "tea > black", "label": "Black tea", "probability": 0.93}],
    "modalities": {"text": {"code": "tea > black", "label": "Black tea", "probability": 0.9}, "image": None},
    "degraded": False,
    "release": "r-20260101T120000-1a2b3c4d",
}


class AuditParameters(BaseModel):
    """Query parameters of `GET /audit`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: Moment | None = Field(default=None, description="Only events at this time or later.")
    until: Moment | None = Field(default=None, description="Only events before this time.")
    actor: Annotated[str, Field(max_length=255)] | None = Field(default=None, description="Only events of this user.")
    action: AuditAction | None = Field(default=None, description="Only events of this action.")
    limit: int = Field(default=50, ge=1, le=MAX_PAGE, description="Events of one page.")
    cursor: RecordId | None = Field(default=None, description="`next_cursor` of the page before.")


class AuditEventView(ResponseModel):
    """An event of the audit log."""

    event_id: str
    created: datetime
    action: str = Field(description="As the parameter `action`, or that of a newer version.")
    actor: str = Field(description="User name, also of an API key; empty if it is not known.")
    actor_kind: ActorKind
    role: str | None = Field(description="Role of the user at that time.")
    target: str = Field(description="What it was done to: a user, key, correction, run or release.")
    details: dict[str, JsonValue]
    address: str = Field(description="Address of the client; empty if no request caused the event.")
    request_id: str
    outcome: Literal["done", "failed", "unknown", "damaged"] = Field(
        description="`unknown`: the process ended before the outcome was recorded. `damaged`: the event is unreadable."
    )
    reason: str = Field(description="Why it failed; empty if it did not.")


class AuditPage(ResponseModel):
    """A page of the audit log, newest first."""

    items: list[AuditEventView]
    next_cursor: str | None = Field(
        description="`cursor` of the next page; null on the last. A page may be empty and not the last."
    )


class ProblemView(ResponseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    trace_id: str | None = Field(default=None, description="Trace of the request's `traceparent` header.")


HealthStatus = Literal["ok", "starting", "ready", "degraded", "unavailable"]


class HealthView(ResponseModel):
    """State of the gateway and of what it needs."""

    status: HealthStatus
    checks: dict[str, bool] = Field(default_factory=dict)
