"""Requests that almost match a route: HEAD, slashes, case, typing errors; the favicon; traces."""

import re
import time
from http.client import HTTPConnection

import httpx
import pytest

from inference.auth_proxy.routes import ROUTES
from inference.auth_proxy.routing import RouteTable
from inference.http.problems import Problem
from tests.inference.auth_proxy.conftest import PASSWORD, Gateway
from tests.inference.auth_proxy.test_access import sample

GETS = [route.path for route in ROUTES if route.method == "GET" and "{" not in route.path]


def _detail(response: httpx.Response) -> str:
    return str(response.json()["detail"])


@pytest.mark.parametrize("path", GETS)
def test_head_has_status_and_headers_of_get_and_no_body(gateway: Gateway, path: str) -> None:
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    found = []
    for method in ("GET", "HEAD", "GET"):  # the last fails if bytes of a body are left on the connection
        connection.request(method, path, headers=gateway.headers("ada"))
        response = connection.getresponse()
        found.append((response.status, response.getheader("content-type"), len(response.read()) > 0))
    connection.close()

    status, media_type, has_body = found[0]
    assert [(status, media_type, has_body), (status, media_type, False), (status, media_type, has_body)] == found


def test_head_of_a_model_reaches_it_as_get(gateway: Gateway) -> None:
    with gateway.client() as client:
        response = client.head("/v2/models/text-predictor")

    assert (200, b"") == (response.status_code, response.content)


def test_head_needs_the_same_role_and_is_not_allowed_where_get_is_not(gateway: Gateway) -> None:
    with gateway.client() as client:
        assert [403, 405, 404] == [client.head(path).status_code for path in ("/users", "/predict", "/nothing")]
    with gateway.client(None) as client:
        assert 401 == client.head("/categories").status_code


def test_allow_lists_head_beside_get(gateway: Gateway) -> None:
    with gateway.client() as client:
        assert "GET, HEAD" == client.delete("/categories").headers["allow"]
        assert "POST" == client.delete("/predict").headers["allow"]


@pytest.mark.parametrize("path", [route.path for route in ROUTES if route.path != "/"])
def test_a_path_with_a_slash_too_many_names_the_route(path: str) -> None:
    concrete = sample(path).replace("{model}", "text-predictor")
    with pytest.raises(Problem) as caught:
        RouteTable(ROUTES).find("GET", f"{concrete}/")

    assert (404, True) == (caught.value.status, caught.value.detail.endswith(f"; use {concrete!r}")), (
        caught.value.detail
    )


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/predict/", "use '/predict'"),
        ("/PREDICT", "use '/predict'"),
        ("/predicts", "did you mean '/predict'? /openapi.json lists all"),
        ("/categorys", "did you mean '/categories'? /openapi.json lists all"),
        ("/zzz", "/openapi.json lists them"),
        ("/" + "predict" * 40, "/openapi.json lists them"),
    ],
)
def test_an_unknown_path_is_answered_with_what_to_do(gateway: Gateway, path: str, advice: str) -> None:
    with gateway.client() as client:
        assert _detail(client.post(path, json={})).endswith(f"; {advice}")


def test_looking_for_a_similar_path_takes_no_time_worth_mentioning() -> None:
    table, start = RouteTable(ROUTES), time.process_time()
    for number in range(200):
        with pytest.raises(Problem):
            table.find("GET", f"/{number:039}")

    assert time.process_time() - start < 2


def test_the_icon_is_served_without_a_token(gateway: Gateway) -> None:
    with gateway.client(None) as client:
        response = client.get("/favicon.ico")

    assert (200, "image/svg+xml") == (response.status_code, response.headers["content-type"].partition(";")[0])


def test_every_invalid_field_of_a_user_is_reported_at_once(gateway: Gateway) -> None:
    with gateway.client("ada") as client:
        response = client.post("/users", json={"name": "a b", "password": "short", "role": "root", "age": 3})

    fields = {error["field"]: error["detail"] for error in response.json()["errors"]}
    assert 422 == response.status_code
    assert {"name", "password", "role", "age"} == set(fields)
    assert "must be 'user', 'reviewer' or 'admin', not 'root'" == fields["role"]
    assert "has 5 characters; at least 12 are required" == fields["password"]
    assert "short" not in response.text
    assert all(field in _detail(response) for field in fields)


@pytest.mark.parametrize("body", [{}, {"name": "x"}, [], {"name": "x", "password": PASSWORD, "role": 3}])
def test_no_text_of_the_validation_library_reaches_a_client(gateway: Gateway, body: object) -> None:
    with gateway.client("ada") as client:
        responses = [client.post("/users", json=body), client.patch("/users/ursula", json={"role": "root"})]
        responses.append(client.patch("/users/ursula", json={}))

    assert "body: nothing to change; give password, role or disabled" == _detail(responses[-1])
    for response in responses:
        assert 422 == response.status_code
        assert "Input should" not in response.text
        assert "Value error" not in response.text


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


LATER = "01" + TRACE[2:] + "-what-a-later-version-adds"
ZERO_TRACE, ZERO_PARENT = "00-" + "0" * 32 + TRACE[35:], TRACE[:36] + "0" * 16 + "-01"
MALFORMED = [TRACE.upper(), TRACE[:-1], TRACE + "-00", ZERO_TRACE, ZERO_PARENT, "ff" + TRACE[2:], "x", TRACE * 9]


def traces_behind(gateway: Gateway, headers: dict[str, str]) -> tuple[set[str | None], httpx.Response]:
    """Return the trace contexts that the services behind a failing request received, and its response."""
    before = len(gateway.models.seen), len(gateway.feedback.seen)
    with gateway.client("ada") as client:
        client.get("/v2/models/text-predictor", headers=headers)
        client.get("/retrain", headers=headers)
        client.post("/predict", json={"designation": "Piscine"}, headers=headers)
        gateway.models.away = True
        refused = client.post("/predict", json={"designation": "Piscine"}, headers=headers)
    seen = [*gateway.models.seen[before[0] :], *gateway.feedback.seen[before[1] :]]
    assert len(seen) >= 4
    return {request.headers.get("traceparent") for request in seen}, refused


@pytest.mark.parametrize("sent", [TRACE, LATER])
def test_the_trace_of_a_request_reaches_every_service_behind_and_its_problem(gateway: Gateway, sent: str) -> None:
    traces, refused = traces_behind(gateway, {"traceparent": sent})

    assert {sent} == traces
    assert TRACE[3:35] == refused.json()["trace_id"]


@pytest.mark.parametrize("sent", MALFORMED)
def test_a_malformed_trace_is_replaced_by_a_new_one(gateway: Gateway, sent: str) -> None:
    traces, refused = traces_behind(gateway, {"traceparent": sent})

    assert 4 == len(traces), "one per request"
    for trace in traces:
        assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", str(trace))
        assert TRACE[3:35] not in str(trace)
    assert refused.json()["trace_id"] in {str(trace)[3:35] for trace in traces}


def test_a_request_without_a_trace_has_none(gateway: Gateway) -> None:
    traces, refused = traces_behind(gateway, {})

    assert ({None}, False) == (traces, "trace_id" in refused.json())
