"""Settings of the gateway."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, Field, IPvAnyNetwork, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from inference.auth_proxy.auth.roles import Role
from inference.feedback_api import MIN_SECRET_CHARACTERS
from inference.http.problems import public_message
from product_classifier.limits import GIB, PHOTO_BODY_BYTES
from product_classifier.store import default_store_url

PLACEHOLDERS = frozenset({"change-me", "changeme", "secret", "password", "placeholder"})


def _base_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.username or parts.password:
        raise ValueError("must not contain a name or a password")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{public_message(value)} is not a plain http(s)://host[:port] address")
    return value.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_base_url)]


def _origin(value: str) -> str:
    """Return an origin as browsers send it (RFC 6454, section 6.2): lower case, without path or default port."""
    parts = urlsplit(value)
    default_port = {"http": 80, "https": 443}.get(parts.scheme)
    try:
        port = parts.port
    except ValueError:
        port = 0
    rest = parts.path or parts.query or parts.fragment or "@" in parts.netloc or value != value.strip()
    if default_port is None or not parts.hostname or "*" in value or port == 0 or rest:
        raise ValueError(f"{public_message(value)} is not an origin; write it as https://shop.example[:port]")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if port in {None, default_port} else f":{port}")


Origin = Annotated[str, AfterValidator(_origin)]


class Settings(BaseSettings):
    """Settings of the gateway: AUTH_PROXY_<NAME>; the OIDC_ fields also without the prefix."""

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
    root_path: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$")] = ""
    """Path under which clients see the gateway, such as `/classifier`, if a proxy in front removes it; else empty."""
    allowed_hosts: tuple[str, ...] = ()
    """Accepted host names, without port; empty: any."""

    cors_origins: tuple[Origin, ...] = ()
    """Origins whose pages may call the API from a browser (CORS), such as https://shop.example; empty: none."""

    fusion_url: BaseUrl = "http://127.0.0.1:8095"
    """Address of the fusion transformer."""
    text_url: BaseUrl = "http://127.0.0.1:8091"
    """Address of the text predictor."""
    image_url: BaseUrl = "http://127.0.0.1:8093"
    """Address of the image predictor."""
    feedback_url: BaseUrl | None = None
    """Address of the feedback service; without it `/feedback`, `/retrain` and `/taxonomy/changes` respond 503."""
    internal_token: SecretStr | None = None
    """Secret shared with the feedback service, which accepts identity headers only with it; at least 32 characters."""
    store_url: str = ""
    """Object store of prediction records, file:// or s3://; empty: a folder in the state directory."""
    accounts_file: Path | None = None
    """File of the demo accounts, `{name: {password, role}}`: those that are missing or differ are set at start."""
    state_dir: Path = Path(".run")
    """Folder of users, signing keys, API keys and the journal; must survive a restart."""

    oidc_issuer: BaseUrl | None = Field(
        default=None, validation_alias=AliasChoices("AUTH_PROXY_OIDC_ISSUER", "OIDC_ISSUER")
    )
    """URL of an external OpenID Connect issuer; it replaces the embedded one."""
    oidc_audience: str | None = Field(
        default=None, validation_alias=AliasChoices("AUTH_PROXY_OIDC_AUDIENCE", "OIDC_AUDIENCE")
    )
    """Required `aud` of its tokens."""
    oidc_roles_claim: str = Field(
        default="roles", validation_alias=AliasChoices("AUTH_PROXY_OIDC_ROLES_CLAIM", "OIDC_ROLES_CLAIM")
    )
    """Claim that holds the roles: a key with this name, else a dot separates nested objects (`realm_access.roles`)."""
    oidc_role_map: dict[str, Role] = Field(
        default_factory=dict, validation_alias=AliasChoices("AUTH_PROXY_OIDC_ROLE_MAP", "OIDC_ROLE_MAP")
    )
    """Roles of the issuer's own names, as JSON: `{"shop-admins": "admin"}`; the names of the roles count as well."""
    oidc_jwks_url: str | None = Field(
        default=None, validation_alias=AliasChoices("AUTH_PROXY_OIDC_JWKS_URL", "OIDC_JWKS_URL")
    )
    """URL of its key set; empty: read from the issuer's discovery document."""
    oidc_token_types: tuple[str, ...] = Field(
        default=("at+jwt", "jwt"), validation_alias=AliasChoices("AUTH_PROXY_OIDC_TOKEN_TYPES", "OIDC_TOKEN_TYPES")
    )
    """Accepted `typ` headers, lower case; an empty one accepts tokens without `typ`."""

    oidc_client_id: str = Field(
        default="", validation_alias=AliasChoices("AUTH_PROXY_OIDC_CLIENT_ID", "OIDC_CLIENT_ID")
    )
    """Client of the workbench at the issuer, with `<address><root path>/login/callback` as redirect URI; empty: the
    name of the audience."""
    oidc_client_secret: SecretStr = Field(
        default=SecretStr(""), validation_alias=AliasChoices("AUTH_PROXY_OIDC_CLIENT_SECRET", "OIDC_CLIENT_SECRET")
    )
    """Secret of that client; empty for a public client, which PKCE alone protects."""
    oidc_scopes: str = Field(default="openid", validation_alias=AliasChoices("AUTH_PROXY_OIDC_SCOPES", "OIDC_SCOPES"))
    """Scopes of a login, separated by blanks; with `offline_access` some issuers give the token that renews a login."""

    session_ttl_s: int = Field(default=43_200, ge=60, le=604_800)
    """Longest duration of a login in a browser in seconds."""
    session_idle_s: int = Field(default=3600, ge=600, le=604_800)
    """Seconds without a request after which a login in a browser ends."""
    upload_limit: int = Field(default=GIB, ge=10_000)
    """Largest file in bytes of `/batches` and `/feedback/import`."""

    token_issuer: str = "product-classifier"  # noqa: S105 - a name
    """`iss` of the embedded issuer."""
    token_audience: str = "product-classifier"  # noqa: S105 - a name
    """`aud` of the embedded issuer."""
    token_ttl_s: int = Field(default=3600, ge=30, le=86_400)
    """Lifetime of a token in seconds."""
    api_keys: bool = True
    """Whether API keys are accepted. They are in the state folder: turn them off for gateways that do not share it."""

    rate_limit: str = "200/second"
    """Products per user, as the limits library writes it."""
    megapixel_limit: str = "1000/second"
    """Megapixels of photos per user, each photo rounded up, as the limits library writes it."""
    login_limit: str = "5/minute"
    """Wrong passwords for one name from one address, as the limits library writes it; further ones are refused."""
    login_address_limit: str = "30/minute"
    """Wrong passwords from one address for all names together; beyond it, passwords for other names are delayed."""
    login_name_limit: str = "30/minute"
    """Wrong passwords for one name from all addresses it never logged in from; beyond it, new ones are delayed."""
    body_limit: int = Field(default=PHOTO_BODY_BYTES, ge=10_000)
    """Largest request body in bytes; lowers the limit of a route, never raises it."""
    import_mb: int = Field(default=1024, gt=0)
    """Largest file of `POST /feedback/import` in MiB; it is sent on in parts, not held in memory."""
    body_memory_mb: int = Field(default=192, gt=0)
    """MiB of memory for the bodies of requests in progress; a third of it, but one largest body, per user."""
    body_timeout_s: float = Field(default=15.0, gt=0)
    """Seconds a client has to send its body."""
    header_timeout_s: float = Field(default=5.0, gt=0)
    """Seconds a client has to send its headers."""
    max_connections_per_address: int = Field(default=1024, gt=0)
    """Connections from one address, at most three quarters of all; over it the longest idle one is closed."""
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    """Networks of proxies in front, in CIDR notation: the client's address is read from their `X-Forwarded-For`."""
    keep_alive_s: int = Field(default=30, gt=0)
    """Seconds an idle connection stays open."""
    shutdown_s: int = Field(default=10, gt=0)
    """Seconds a shutdown waits for requests in progress."""
    backend_timeout_s: float = Field(default=10.0, gt=0)
    """Seconds a model has to respond."""
    start_s: float = Field(default=120.0, ge=0)
    """Seconds after its own start in which a model that was never ready counts as starting: `/readyz` responds 503."""
    max_in_flight: int = Field(default=48, gt=0)
    """Model requests in progress; further ones get 503 at once. 16 keep two cores busy, the rest may wait."""
    max_event_streams: int = Field(default=32, gt=0)
    """Streams of `GET /retrain/{run_id}/events` that are open; further ones get 503. Each takes a connection here and
    to the feedback service."""
    record_deadline_s: float = Field(default=0.25, gt=0)
    """Seconds a response waits for its prediction record to be stored."""
    record_backlog_mb: int = Field(default=64, gt=0)
    """MiB of memory for records that are being written."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.oidc_issuer and not self.oidc_audience:
            raise ValueError(
                "OIDC_ISSUER is set but OIDC_AUDIENCE is not; set it, else tokens for other services would be accepted"
            )
        if self.feedback_url:
            secret = self.internal_token.get_secret_value() if self.internal_token else ""
            if len(secret) < MIN_SECRET_CHARACTERS or secret.lower() in PLACEHOLDERS:
                raise ValueError(
                    f"AUTH_PROXY_INTERNAL_TOKEN must have at least {MIN_SECRET_CHARACTERS} characters"
                    " when AUTH_PROXY_FEEDBACK_URL is set"
                )
        return self

    def store_address(self) -> str:
        """Return the URL of the store: by default a folder in the state directory."""
        return self.store_url or default_store_url(self.state_dir)
