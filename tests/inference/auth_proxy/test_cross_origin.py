"""Calls from pages of other origins (CORS), of every route."""

import re
from collections.abc import Iterator

import httpx
import pytest

from inference.auth_proxy.routes import ROUTES
from inference.auth_proxy.settings import Settings
from tests.inference.auth_proxy.conftest import Gateway, start
from tests.inference.auth_proxy.test_access import sample

ALLOWED = ("https://shop.example", "http://localhost:3000")
FOREIGN = (
    "https://evil.example",
    "http://shop.example",
    "https://shop.example:8443",
    "https://shop.example.evil.example",
    "https://a.shop.example",
    "https://SHOP.example",
    "null",
    "*",
    "",
)
CALLS = sorted({(route.method, sample(route.path).replace("{model}", "text-predictor")) for route in ROUTES})
EXPOSED = {"etag", "retry-after", "x-request-id", "location", "prediction-record"}


@pytest.fixture(scope="module")
def cross_origin_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    yield from start(tmp_path_factory.mktemp("cors"), cors_origins=ALLOWED)


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_only_pages_of_allowed_origins_read_any_response_of_a_route(
    cross_origin_gateway: Gateway, call: tuple[str, str]
) -> None:
    method, path = call
    with cross_origin_gateway.client(None) as client:
        for origin in (*ALLOWED, *FOREIGN):
            preflight = client.options(
                path,
                headers={
                    "Origin": origin,
                    "Access-Control-Request-Method": method,
                    "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
                },
            )
            reply = client.request(method, path, headers={"Origin": origin})
            allowed = origin if origin in ALLOWED else None

            assert allowed == preflight.headers.get("access-control-allow-origin"), origin
            assert allowed == reply.headers.get("access-control-allow-origin"), origin
            assert (200 if allowed else 400) == preflight.status_code
            assert 405 != reply.status_code
            assert "access-control-allow-credentials" not in {*preflight.headers, *reply.headers}
            assert "origin" in reply.headers.get("vary", "").lower()
            if allowed:
                assert method in preflight.headers["access-control-allow-methods"]
                assert {*re.split(", *", reply.headers["access-control-expose-headers"].lower())} >= EXPOSED


ERRORS: list[tuple[str, str, dict[str, str], int]] = [
    ("GET", "/categories", {}, 401),
    ("GET", "/categories", {"Authorization": "Bearer x"}, 401),
    ("GET", "/nowhere", {}, 404),
    ("PUT", "/predict", {}, 405),
    ("POST", "/token", {"Content-Type": "text/plain"}, 415),
    ("GET", "/a//b", {}, 400),
    ("GET", "/" + "a" * 600, {}, 414),
]


@pytest.mark.parametrize(("method", "path", "headers", "status"), ERRORS)
def test_errors_have_the_headers_too(
    cross_origin_gateway: Gateway, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    with cross_origin_gateway.client(None) as client:
        reply = client.request(method, path, headers={"Origin": ALLOWED[0], **headers})

    assert (status, ALLOWED[0]) == (reply.status_code, reply.headers["access-control-allow-origin"])
    assert reply.json()["request_id"] == reply.headers["x-request-id"]


@pytest.mark.parametrize(("method", "header"), [("TRACE", "authorization"), ("GET", "x-internal-token")])
def test_a_preflight_for_what_no_route_has_is_refused(cross_origin_gateway: Gateway, method: str, header: str) -> None:
    with cross_origin_gateway.client(None) as client:
        headers = {
            "Origin": ALLOWED[0],
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": header,
        }
        assert 400 == client.options("/predict", headers=headers).status_code


def test_without_origins_there_are_no_headers_and_no_preflight(gateway: Gateway) -> None:
    headers = {"Origin": ALLOWED[0], "Access-Control-Request-Method": "GET"}
    with gateway.client("ursula") as client:
        replies: list[httpx.Response] = [
            client.options("/categories", headers=headers),
            client.get("/categories", headers=headers),
        ]

    assert [405, 200] == [reply.status_code for reply in replies]
    assert not [name for reply in replies for name in reply.headers if name.startswith("access-control")]


ORIGINS = {
    "https://shop.example": "https://shop.example",
    "HTTPS://Shop.Example": "https://shop.example",
    "https://shop.example:443": "https://shop.example",
    "http://[::1]:3000": "http://[::1]:3000",
    "*": None,
    "null": None,
    "https://*.example": None,
    "https://shop.example/": None,
    "https://shop.example/path": None,
    "https://a@shop.example": None,
    "https://shop.example?x": None,
    "https://shop.example:0": None,
    "https://shop.example:99999": None,
    "ftp://shop.example": None,
    "shop.example": None,
    " https://shop.example": None,
    "": None,
}


@pytest.mark.parametrize("written", ORIGINS)
def test_an_origin_is_exact_and_read_as_browsers_write_it(written: str) -> None:
    if (expected := ORIGINS[written]) is not None:
        assert (expected,) == Settings(cors_origins=(written,)).cors_origins
    else:
        with pytest.raises(ValueError, match="is not an origin; write it as https://"):
            Settings(cors_origins=(written,))
