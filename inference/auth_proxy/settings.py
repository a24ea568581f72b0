"""What the deployment decides about the gateway."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from inference.http.problems import public_message

PLACEHOLDERS = frozenset({"change-me", "changeme", "secret", "password", "placeholder"})
MIN_SECRET_CHARACTERS = 32


def _base_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.username or parts.password:
        raise ValueError("an address with a name or password in it is refused")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{public_message(value)} is not a plain http(s)://host[:port] address")
    return value.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_base_url)]


class Settings(BaseSettings):
    """Each field is AUTH_PROXY_<NAME> in the environment; the OIDC_ fields are also read without the prefix."""

    model_config = SettingsConfigDict(
        env_prefix="AUTH_PROXY_", frozen=True, use_attribute_docstrings=True, populate_by_name=True, extra="ignore"
    )

    host: str = "127.0.0.1"
    """Address the public API listens on."""
    port: int = Field(default=8080, ge=1, le=65535)
    """Port the public API listens on."""
    metrics_host: str = "127.0.0.1"
    """Address the internal port listens on."""
    metrics_port: int = Field(default=8081, ge=0, le=65535)
    """Internal port of `/metrics`; 0 turns it off."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names (without port) the API answers to; empty means any."""

    fusion_url: BaseUrl = "http://127.0.0.1:8095"
    """Where fusion-transformer answers."""
    text_url: BaseUrl = "http://127.0.0.1:8091"
    """Where text-predictor answers."""
    image_url: BaseUrl = "http://127.0.0.1:8093"
    """Where image-predictor answers."""
    feedback_url: BaseUrl | None = None
    """Where the feedback service answers; without it `/feedback` and `/retrain` answer 503."""
    internal_token: SecretStr | None = None
    """Shared with the feedback service: proves that identity headers come from the gateway."""
    store_url: str = ""
    """Object store of prediction records, file:// or s3://; empty: a folder in the state directory."""
    state_dir: Path = Path(".run")
    """Users, signing keys; must survive a restart."""

    oidc_issuer: BaseUrl | None = Field(
        default=None, validation_alias=AliasChoices("AUTH_PROXY_OIDC_ISSUER", "OIDC_ISSUER")
    )
    """An external issuer; replaces the embedded one."""
    oidc_audience: str | None = Field(
        default=None, validation_alias=AliasChoices("AUTH_PROXY_OIDC_AUDIENCE", "OIDC_AUDIENCE")
    )
    """The `aud` its tokens must carry."""
    oidc_roles_claim: str = Field(
        default="roles", validation_alias=AliasChoices("AUTH_PROXY_OIDC_ROLES_CLAIM", "OIDC_ROLES_CLAIM")
    )
    """Claim with the roles; dots go into objects (`realm_access.roles`)."""
    oidc_jwks_url: str | None = Field(
        default=None, validation_alias=AliasChoices("AUTH_PROXY_OIDC_JWKS_URL", "OIDC_JWKS_URL")
    )
    """Its key set; empty: asked from the issuer's discovery document."""
    oidc_token_types: tuple[str, ...] = Field(
        default=("at+jwt", "jwt"), validation_alias=AliasChoices("AUTH_PROXY_OIDC_TOKEN_TYPES", "OIDC_TOKEN_TYPES")
    )
    """Accepted `typ` headers, lower case."""

    token_issuer: str = "product-classifier"  # noqa: S105 - a name
    """`iss` of the embedded issuer."""
    token_audience: str = "product-classifier"  # noqa: S105 - a name
    """`aud` of the embedded issuer."""
    token_ttl_s: int = Field(default=3600, ge=30, le=86_400)
    """How long a token is good for."""

    rate_limit: str = "200/second"
    """Products one person may ask for, as the limits library writes it."""
    login_limit: str = "5/minute"
    """Wrong passwords for one name from one address."""
    login_address_limit: str = "30/minute"
    """Wrong passwords from one address, whatever the name."""
    body_limit: int = Field(default=6_000_000, ge=10_000)
    """Bytes one request body may have."""
    body_timeout_s: float = Field(default=15.0, gt=0)
    """Time a client has to send its body."""
    header_timeout_s: float = Field(default=5.0, gt=0)
    """Time a client has to send its headers."""
    keep_alive_s: int = Field(default=30, gt=0)
    """How long an idle connection stays open."""
    shutdown_s: int = Field(default=10, gt=0)
    """How long a stop waits for requests in progress."""
    backend_timeout_s: float = Field(default=10.0, gt=0)
    """Time a model has to answer."""
    start_s: float = Field(default=120.0, ge=0)
    """How long after our own start a model that was never ready is taken to be starting; `/readyz` answers 503."""
    max_in_flight: int = Field(default=48, gt=0)
    """Model requests at once; more are answered 503 at once. Two cores are busy with 16, the rest is what may wait."""
    record_deadline_s: float = Field(default=0.25, gt=0)
    """How long an answer waits for its prediction record to be stored."""
    record_backlog_mb: int = Field(default=64, gt=0)
    """Memory for records the store has not taken yet."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.oidc_issuer and not self.oidc_audience:
            raise ValueError("OIDC_ISSUER is set but OIDC_AUDIENCE is not: tokens for other services would be accepted")
        if self.feedback_url:
            secret = self.internal_token.get_secret_value() if self.internal_token else ""
            if len(secret) < MIN_SECRET_CHARACTERS or secret.lower() in PLACEHOLDERS:
                raise ValueError(
                    f"AUTH_PROXY_INTERNAL_TOKEN must have at least {MIN_SECRET_CHARACTERS} characters"
                    " when AUTH_PROXY_FEEDBACK_URL is set"
                )
        return self

    def store_address(self) -> str:
        """Return the store's URL, the folder of a local run by default."""
        return self.store_url or f"file://{(self.state_dir / 'store' / 'product-classifier').resolve()}"
