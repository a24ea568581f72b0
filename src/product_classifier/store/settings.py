"""Settings of the S3 store."""

import re
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_REGION = "us-east-1"
AMAZON = re.compile(r"[./]s3[.-]([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com")
"""The region in the address of Amazon S3."""


def default_store_url(state_dir: Path) -> str:
    """Return the URL of the store in a state folder, a folder with the name of a cluster's bucket."""
    return (state_dir.resolve() / "store" / "product-classifier").as_uri()


class StoreSettings(BaseSettings):
    """Endpoint, credentials, timeouts and attempts of an S3 store; a `file://` store uses none of them."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)

    s3_endpoint: str = "https://s3.amazonaws.com"
    """URL of the S3 service, for example `http://minio:9000`."""

    s3_region: str = ""
    """Region for which requests are signed; empty: that of an endpoint of Amazon S3, else us-east-1."""

    s3_ca_bundle: str | None = None
    """File of certificate authorities that replaces the public ones."""

    s3_connect_timeout_s: float = Field(default=3.0, gt=0, le=60)
    """Seconds to open a connection to the S3 service."""

    s3_read_timeout_s: float = Field(default=10.0, gt=0, le=300)
    """Seconds to wait for the next bytes of a response of the S3 service."""

    s3_attempts: int = Field(default=3, ge=1, le=10)
    """Attempts per operation before the store is reported unavailable."""

    aws_access_key_id: str | None = None
    """Access key of the S3 service. Without it, the role of AWS_ROLE_ARN with the token of
    AWS_WEB_IDENTITY_TOKEN_FILE (EKS), or the credentials of AWS_CONTAINER_CREDENTIALS_FULL_URI (EKS Pod Identity);
    without those, anonymous requests."""

    aws_secret_access_key: SecretStr | None = None
    """Secret of the access key; both or neither must be set."""

    aws_session_token: SecretStr | None = None
    """Session token of temporary credentials."""

    @property
    def region(self) -> str:
        """Region for which requests are signed."""
        found = AMAZON.search(self.s3_endpoint)
        return self.s3_region or (found[1] if found else DEFAULT_REGION)

    @field_validator("s3_endpoint")
    @classmethod
    def _address_without_secrets(cls, endpoint: str) -> str:
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"} or parts.query:
            raise ValueError("must be http://host[:port] or https://host[:port]")
        if parts.username or parts.password:
            raise ValueError("must not hold credentials; use AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        return f"{parts.scheme}://{parts.netloc}"

    @model_validator(mode="after")
    def _both_keys_or_none(self) -> Self:
        if bool(self.aws_access_key_id) != bool(self.aws_secret_access_key):
            raise ValueError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together")
        return self
