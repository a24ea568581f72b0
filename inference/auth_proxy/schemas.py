"""What the API takes and gives, as documented in OpenAPI and, for accounts, as checked."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from inference.auth_proxy.auth.roles import NAME, Role
from inference.auth_proxy.predictions.products import MAX_DESCRIPTION, MAX_DESIGNATION

Password = Annotated[str, StringConstraints(min_length=12, max_length=256)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Taken(BaseModel):
    """A body: no field it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ProductBody(Taken):
    """One product; at least one of the three."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"designation": "Piscine gonflable ronde", "description": "<p>3 m</p>"}]},
    )

    designation: str | None = Field(default=None, max_length=MAX_DESIGNATION, description="Title, usually French.")
    description: str | None = Field(default=None, max_length=MAX_DESCRIPTION, description="May hold HTML.")
    image: str | None = Field(default=None, description="JPEG or PNG as base64.")


class NewUser(Taken):
    """An account to create."""

    name: Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
    password: Password
    role: Role = Role.USER


class UserChange(Taken):
    """What to change; tokens issued before are refused from then on."""

    password: Password | None = None
    role: Role | None = None
    disabled: bool | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.password is None and self.role is None and self.disabled is None:
            raise ValueError("nothing to change: give password, role or disabled")
        return self


class Shown(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True)


class UserView(Shown):
    """An account, without its password."""

    name: str
    role: Role
    disabled: bool
    created: float = Field(description="Seconds since 1970, UTC.")


class TokenView(Shown):
    """An access token."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a scheme
    expires_in: int


class CategoryView(Shown):
    """One of the 27 categories."""

    code: int
    label_fr: str
    label_en: str


class CategoryAnswer(Shown):
    """The category a product was given."""

    code: int
    label: str


class CandidateView(Shown):
    """A category with its probability."""

    code: int
    label: str
    probability: Probability


class ModalitiesView(Shown):
    """Each model's own favourite; null where it was not asked or did not answer."""

    text: CandidateView | None
    image: CandidateView | None


class PredictionView(Shown):
    """An answer of `/predict`."""

    prediction_id: str
    category: CategoryAnswer
    confidence: Probability
    top: Annotated[list[CandidateView], Field(max_length=5)]
    modalities: ModalitiesView
    degraded: bool = Field(description="True when a model that should have been asked did not answer.")
    release: str


class ProblemView(Shown):
    """An error as RFC 9457 describes it."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str


Health = Literal["ok", "starting", "ready", "degraded", "unavailable"]


class HealthView(Shown):
    """Whether the gateway and what it needs can answer."""

    status: Health
    checks: dict[str, bool] = Field(default_factory=dict)
