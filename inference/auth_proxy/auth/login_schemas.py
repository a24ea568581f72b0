"""Requests and responses of the login."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.schemas import MAX_PASSWORD
from inference.http.api_models import RequestModel, ResponseModel

NextPath = Annotated[
    str,
    Field(
        max_length=1000,
        pattern=r"^/([!-.0-\[\]-~][!-\[\]-~]*)?$",
        description="Path below the root path to load after the login.",
    ),
]
"""A path of this site: a browser reads one that begins with two slashes or backslashes as an address."""


class LoginParameters(BaseModel):
    """Query parameters of `GET /login`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    next: NextPath = "/"


class CallbackParameters(BaseModel):
    """Query parameters of `GET /login/callback`, as the issuer sends them; others are ignored."""

    model_config = ConfigDict(frozen=True)

    state: Annotated[str, Field(max_length=200)] = Field(default="", description="As it was sent to the issuer.")
    code: Annotated[str, Field(max_length=2000)] = Field(default="", description="The authorization code.")
    error: Annotated[str, Field(max_length=200)] = Field(default="", description="Why there is no code.")


class LoginRequest(RequestModel):
    """The login form of the embedded issuer."""

    username: Annotated[str, StringConstraints(min_length=1)]
    password: Annotated[str, StringConstraints(min_length=1, max_length=MAX_PASSWORD)]
    next: NextPath = "/"


class ProductLimits(ResponseModel):
    """The largest product that is accepted."""

    designation_characters: int
    description_characters: int
    photo_bytes: int
    batch_products: int = Field(description="Products of `POST /predict/batch`.")
    upload_bytes: int = Field(description="Bytes of a file of `POST /batches`.")


class WorkbenchSettings(ResponseModel):
    """What the deployment decides and a page must know."""

    root_path: str = Field(description="Path under which the gateway is seen; empty: at the root.")
    users: bool = Field(description="Whether users are managed here, at `/users`.")
    api_keys: bool = Field(description="Whether API keys are accepted, and managed at `/keys`.")
    feedback: bool = Field(description="Whether there is a feedback service, for corrections, runs and releases.")
    limits: ProductLimits


class MeView(ResponseModel):
    """The user of the session or of the bearer token."""

    name: str
    role: Role
    issuer: Literal["embedded", "external"] = Field(description="Who manages the users.")
    is_machine: bool = Field(description="Whether it is an API key.")
    csrf_token: str | None = Field(
        description="Value of the header `X-CSRF-Token` of requests that write; null with a bearer token, which needs"
        " none."
    )
    expires: datetime | None = Field(description="End of the session; null with a bearer token.")
    settings: WorkbenchSettings


class LogoutView(ResponseModel):
    """A session that has ended."""

    issuer_logout_url: str | None = Field(
        description="URL that also ends the session at the external issuer; null if it has none."
    )
