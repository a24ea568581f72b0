"""Pods without keys get temporary credentials for the token of their service account."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from product_classifier.errors import StoreUnavailable
from product_classifier.store import StoreSettings, open_store
from tests.support.servers import moto_server

TOKEN = "token-of-the-service-account"
ROLE = "arn:aws:iam::111122223333:role/product-classifier"
GRANTED = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId>
<SecretAccessKey>temporary</SecretAccessKey><SessionToken>session</SessionToken>
<Expiration>2199-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"""


class SecurityTokenService(BaseHTTPRequestHandler):
    """Grants the role to the token of the service account, as AWS STS does."""

    requests: list[dict[str, list[str]]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        given = parse_qs(urlsplit(self.path).query) | parse_qs(body)
        self.requests.append(given)
        is_granted = given.get("WebIdentityToken") == [TOKEN] and given.get("RoleArn") == [ROLE]
        content = (GRANTED if is_granted else "<ErrorResponse/>").encode()
        self.send_response(200 if is_granted else 403)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[dict[str, list[str]]]]:
    """The requests that the token service gets from a pod of this process."""
    (tmp_path / "token").write_text(TOKEN)
    handler = type("Handler", (SecurityTokenService,), {"requests": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{server.server_port}")
    yield handler.requests
    server.shutdown()
    server.server_close()


def test_objects_are_written_with_temporary_credentials(requests: list[dict[str, list[str]]]) -> None:
    with moto_server() as url:
        store = open_store("s3://pods", StoreSettings(s3_endpoint=url), create=True)
        store.put("a", b"1", only_if_absent=True)

        assert b"1" == store.get("a")
    assert 1 == len(requests)
    assert ["AssumeRoleWithWebIdentity"] == requests[0]["Action"]


def test_keys_that_are_given_take_precedence(requests: list[dict[str, list[str]]]) -> None:
    with moto_server() as url:
        keys = StoreSettings(s3_endpoint=url, aws_access_key_id="key", aws_secret_access_key="secret")
        open_store("s3://pods", keys, create=True)

    assert [] == requests


def test_a_role_that_is_not_granted_is_named_without_the_token(
    requests: list[dict[str, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/other")
    store = open_store("s3://pods", StoreSettings(s3_endpoint="http://127.0.0.1:9"))

    with pytest.raises(StoreUnavailable, match=r"no credentials for the role '.*role/other'") as caught:
        store.get("a")
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "given", "region"),
    [
        ("https://s3.eu-west-1.amazonaws.com", "", "eu-west-1"),
        ("https://bucket.s3.us-gov-west-1.amazonaws.com", "", "us-gov-west-1"),
        ("https://s3-ap-southeast-2.amazonaws.com", "", "ap-southeast-2"),
        ("https://s3.amazonaws.com", "", "us-east-1"),
        ("http://minio:9000", "", "us-east-1"),
        ("https://s3.eu-west-1.amazonaws.com", "eu-central-1", "eu-central-1"),
        ("https://storage.googleapis.com", "auto", "auto"),
    ],
)
def test_requests_are_signed_for_the_region_of_the_endpoint(endpoint: str, given: str, region: str) -> None:
    assert region == StoreSettings(s3_endpoint=endpoint, s3_region=given).region
