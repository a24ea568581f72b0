"""Authorization by the route table, and attempts to bypass it."""

import itertools
import socket

import httpx
import pytest

from inference.auth_proxy.app import create_app
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.routes import ROUTES
from inference.auth_proxy.routing import RouteTable, each_model
from product_classifier.model_names import MODELS
from tests.inference.auth_proxy.conftest import USER_ROLES, Gateway

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE")
TABLE = [concrete for route in ROUTES for concrete in each_model(route)]
SAMPLES = {
    "{name}": "nobody",
    "{id}": "019ab0f2-7d1e-7c3a-9d55-0c8f6a4be111",
    "{run_id}": "retrain-000001-0123456789ab",
    "{release}": "r-20270131T120000-1a2b3c4d",
    "{version}": "v1",
    "{key_id}": "0123456789abcdef",
    "{file}": "main.js",
    "{sha256}": "0" * 64,
}
WHO: list[str | None] = [None, *USER_ROLES]


def sample(template: str) -> str:
    for parameter, value in SAMPLES.items():
        template = template.replace(parameter, value)
    return template


PATHS = sorted({rule.path for rule in TABLE})


@pytest.mark.parametrize("template", PATHS)
def test_every_route_method_and_role_is_authorized_by_the_table(gateway: Gateway, template: str) -> None:
    rules = {rule.method: rule for rule in TABLE if rule.path == template}
    for method, who in itertools.product(METHODS, WHO):
        with gateway.client(who) as client:
            status = client.request(method, sample(template)).status_code

        rule = rules.get("GET" if method == "HEAD" else method)
        if rule is None:
            assert (method, who, status) == (method, who, 405)
        elif rule.role is None:
            assert status not in {401, 403, 404, 405} or template == "/token"
        elif who is None:
            assert (method, who, status) == (method, who, 401)
        elif not USER_ROLES[who].includes(rule.role):
            assert (method, who, status) == (method, who, 403)
        else:
            assert status not in {401, 403, 405}


def test_roles_nest() -> None:
    pairs = [(a.value, b.value) for a in Role for b in Role if a.includes(b)]

    assert pairs == [
        ("user", "user"), ("reviewer", "user"), ("reviewer", "reviewer"),
        ("admin", "user"), ("admin", "reviewer"), ("admin", "admin"),
    ]  # fmt: skip


def test_the_table_is_the_one_of_the_contract() -> None:
    open_routes = {(r.method, r.path) for r in TABLE if r.role is None}
    models = {r.path for r in TABLE if r.path.startswith(("/v1", "/v2"))}

    assert ("POST", "/token") in open_routes
    assert {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/.well-known/jwks.json")} <= open_routes
    assert all(r.role is Role.USER for r in TABLE if r.path in models)
    assert {r.role for r in TABLE if r.path.startswith(("/users", "/keys", "/retrain"))} == {Role.ADMIN}
    assert not {template for template in models if "repository" in template or "load" in template}


def test_every_route_of_the_application_is_in_the_table(gateway: Gateway) -> None:
    described = gateway.client(None).get("/openapi.json").json()["paths"]

    for path, operations in described.items():
        for method in operations:
            assert RouteTable(ROUTES).find(method.upper(), sample(path.replace("{model}", MODELS[0])))
    assert {"/metrics", "/redoc"}.isdisjoint(described)
    assert create_app


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/redoc",
        "/admin",
        "/debug",
        "/workbench",
        "/workbench/",
        "/workbench/no.js",
        "/.env",
        "/.git/config",
    ],
)
def test_a_path_outside_the_table_is_404(gateway: Gateway, path: str) -> None:
    assert {gateway.client(who).get(path).status_code for who in WHO} == {404}


PATH_VARIANTS = """
    /%70redict /predict%2f /predict%2Fbatch /predict%00 /predict%0a /predict%20 /predict%09 /%2e/users /%2e%2e/users
    /predict/%2e%2e/users /predict/..%2fusers /predict/%2e%2e%2fusers /..%5cusers /predict%5c..%5cusers /users%3f
    /users%23 /users%3b /use%72s /%55sers /%75%73%65%72%73 /%c0%ae%c0%ae/users /%e0%80%ae/users /%252e%252e/users
    /%2575sers /users/%61da /users/ad%61 /users/ada%00 /users/ada%2f.. /% /%zz /%u0075sers //users ///users /users//
    // /users//ada /predict//batch //v2//models /v2//models/text-predictor /./users /../users /predict/../users
    /predict/./batch /users/. /users/.. /a/../../users /.. /. /.../users /users; /users;a=b /;/users
    /predict;/../users /users/ada;x /predict;.css /v2/models/text-predictor;x/infer /users/ /predict/ /feedback/
    /retrain/ /v2/ /v1/ /categories/ /token/ /docs/ /openapi.json/ /Users /USERS /uSERS /Predict /PREDICT /V2
    /V1/models /v2/Models /v2/models/Text-Predictor/infer /RETRAIN /users.json /users.html /users.css /users~
    /users. /users- /users_ /predict.php /predict:predict /users\\ /users\\ada /\\users /predict\\batch /users|
    /users" /users' /users< /users> /users^ /users` /users{ /users} /users* /users! /users$ /users& /users( /users)
    /users+ /users, /users= /v1/models/text-predictor:explain: /v1/models/text-predictor:predict:predict
    /v1/models/text-predictor:load /v1/models/text-predictor: /v1/models/:predict /v1/models/text-predictor::predict
    /v1/models/other:predict /v1/models/text-predictor:predict/ /v1/models/text-predictor:Predict
    /v1/models/text-predictor:predict.json /v1/models/text-predictor/predict /v1/models/text-predictor@x:predict
    /v1/models/text-predictor,image-predictor:predict /v2/models/other/infer /v2/models/text-predictor/generate
    /v2/models/text-predictor/infer/x /v2/models/text-predictor/load /v2/repository/index
    /v2/repository/models/text-predictor/load /v2/repository/models/text-predictor/unload
    /v2/models/text-predictor/versions /v2/models/text-predictor/versions//infer
    /v2/models/text-predictor/versions/a/b/infer /v2/models/text-predictor/versions/../infer
    /v2/models/text-predictor@evil.example/infer /v2/models/text-predictor:8080/infer
    /v2/models/http:/evil.example/infer /v2/models/127.0.0.1/infer /v2/models//infer /v2/models/-/infer /v2/health
    /v2/systemsharedmemory/status /v2/cudasharedmemory/status /v2/trace/setting /v2/logging /v1/models/ /v1
    /metrics/ /users/ADA /users/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa /users/-ada
    /users/.ada /users/ada:1 /users/ada:1:2 /feedback/x/approve/ /feedback/x/delete
""".split()  # noqa: SIM905 - a corpus is read more easily as words


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_spelling_of_a_path_reaches_another_route(gateway: Gateway, method: str) -> None:
    answers = {path: _raw_status(gateway, method, path) for path in PATH_VARIANTS}

    assert len(PATH_VARIANTS) >= 120
    assert {path: status for path, status in answers.items() if status not in {400, 404}} == {}
    assert gateway.models.seen == []
    assert gateway.feedback.seen == []


def _raw_status(gateway: Gateway, method: str, path: str) -> int:
    """Send a path exactly as written, with the token of an admin; every client library tidies it up first."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n"
    head += f"Authorization: Bearer {gateway.token('ada')}\r\n\r\n"
    return _status(_exchange(gateway.port, head.encode("latin-1")))


def _exchange(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(data)
        received = b""
        try:
            while piece := connection.recv(65_536):
                received += piece
        except ConnectionResetError:
            pass
        return received


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


NAMES = """
    X-Auth-User X-Auth-Role X-Auth-Roles X-User X-Role X-Roles X-Remote-User Remote-User X-Forwarded-User
    X-Forwarded-Email X-Forwarded-Groups X-Forwarded-Preferred-Username X-Forwarded-Access-Token kubeflow-userid
    kubeflow-groups X-Goog-Authenticated-User-Email X-Internal-Token X-Original-URL X-Rewrite-URL
    X-HTTP-Method-Override X-HTTP-Method X-Method-Override X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto
    X-Forwarded-Prefix X-Real-IP Forwarded Via True-Client-IP X-Envoy-Original-Path X-Custom-IP-Authorization Cookie
    Proxy-Authorization Proxy-Connection Keep-Alive TE Trailer Upgrade-Insecure-Requests Range If-Match X-Auth_User
    X_Auth_User x-auth-user X-AUTH-USER X-Api-Key Origin Referer Accept-Encoding Prefer ce-id traceparent
    X-B3-TraceId Early-Data Max-Forwards X-Cluster-Client-IP X-Client-IP X-WAP-Profile X-ProxyUser-IP
    X-Authenticated-User
""".split()  # noqa: SIM905 - a corpus is read more easily as words


@pytest.mark.parametrize("path", ["/v2/models/text-predictor/infer", "/feedback"])
def test_no_identity_a_client_sends_reaches_a_backend(gateway: Gateway, path: str) -> None:
    for name in NAMES:
        with gateway.client() as client:
            client.post(path, json={"inputs": []}, headers={name: "ada"})
    seen = (gateway.feedback if path == "/feedback" else gateway.models).seen

    assert len(seen) == len(NAMES) >= 60
    assert {(s.headers["x-auth-user"], s.headers["x-auth-role"]) for s in seen} == {("ursula", "user")}
    allowed = {
        "host",
        "content-type",
        "content-length",
        "accept",
        "x-request-id",
        "x-auth-user",
        "x-auth-role",
        "x-internal-token",
        "traceparent",  # another one: that of the client is malformed
        "x-forwarded-prefix",  # the root path of the settings: the value of the client is excluded below
    }
    assert {name for s in seen for name in s.headers} - allowed == set()
    assert {value for s in seen for value in s.headers.values()}.isdisjoint({"ada"})
    assert not [s for s in seen if "authorization" in s.headers]


@pytest.mark.parametrize(
    "listed", ["X-Auth-User", "Content-Length", "X-Auth-Role, close", "authorization", "x-internal-token"]
)
def test_connection_cannot_name_a_header_to_drop(gateway: Gateway, listed: str) -> None:
    with gateway.client() as client:
        client.post("/feedback", json={}, headers={"Connection": listed})

    assert gateway.feedback.seen[0].headers["x-auth-user"] == "ursula"


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"])
def test_a_method_cannot_be_overridden(gateway: Gateway, name: str) -> None:
    with gateway.client("ada") as client:
        status = client.get("/users", headers={name: "DELETE"}).status_code

    assert (status, gateway.issuer.users.get("ursula") is not None) == (200, True)


@pytest.mark.parametrize(
    "name", ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-Forwarded-Host", "X-Envoy-Original-Path"]
)
def test_a_path_cannot_be_overridden(gateway: Gateway, name: str) -> None:
    with gateway.client() as client:
        reply = client.get("/healthz", headers={name: "/users"})

    assert reply.json() == {"status": "ok", "checks": {}}


BAD_HOSTS = [
    "",
    "a b",
    "a/b",
    "x@y",
    "http://x",
    "x:y",
    "x:123456",
    "[::1",
    "x?y",
    "x#y",
    "x\\y",
    "é",
    "a,b",
    "x;y",
    "<x>",
    "x/users",
    "x:80:80",
    "..%2f",
    "x\t",
    "{x}",
    "x|y",
    "'x",
    '"x"',
]


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_an_invalid_host_is_rejected(gateway: Gateway, host: str) -> None:
    head = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()

    assert _status(_exchange(gateway.port, head)) == 400


@pytest.mark.parametrize("own_gateway", [{"allowed_hosts": ("shop.example",)}], indirect=True)
def test_hosts_outside_the_allowed_ones_are_rejected(own_gateway: Gateway) -> None:
    client = own_gateway.client(None)

    statuses = [
        client.get("/healthz", headers={"Host": h}).status_code
        for h in ("shop.example", "shop.example:8080", "evil.example")
    ]

    assert statuses == [200, 200, 400]


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:9/predict",
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "//evil.example/users",
        "*",
        "users",
        "?",
        "#",
        "",
    ],
)
def test_a_target_that_is_not_a_path_is_rejected(gateway: Gateway, target: str) -> None:
    assert _raw_status(gateway, "GET", target) == 400


def test_no_body_query_or_header_chooses_a_backend(gateway: Gateway) -> None:
    with gateway.client() as client, socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.2)
        url = f"http://127.0.0.1:{trap.getsockname()[1]}/"
        for body in (
            {"url": url},
            {"image": url},
            {"designation": url},
            {"inputs": [{"name": url}]},
            {"instances": [{"b64": url}]},
        ):
            client.post("/predict", json=body)
            client.post("/v1/models/text-predictor:predict", json=body, params={"url": url})
            client.post(
                "/v2/models/text-predictor/infer", json=body, headers={"Location": url, "X-Forwarded-Host": url}
            )
        with pytest.raises(TimeoutError):
            trap.accept()


def test_a_redirect_of_a_backend_is_neither_followed_nor_returned(gateway: Gateway) -> None:
    gateway.models.status = 302

    with gateway.client() as client:
        reply = client.get("/v1/models/text-predictor")

    assert (reply.status_code, "location" in reply.headers) == (502, False)
    assert len(gateway.models.seen) == 1


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 599])
def test_a_failing_backend_is_a_problem_without_its_message(gateway: Gateway, status: int) -> None:
    gateway.models.status = gateway.feedback.status = status
    with gateway.client() as client:
        replies = [
            client.get("/v1/models/text-predictor"),
            client.post("/v2/models/image-predictor/infer", json={"inputs": []}),
            client.post("/predict", json={"designation": "x"}),
            client.post("/feedback", json={}),
        ]

    assert {r.status_code for r in replies} <= {502, 503, 504}
    assert {r.headers["content-type"] for r in replies} == {"application/problem+json"}
    assert not [r for r in replies if "Traceback" in r.text]


def test_a_problem_at_a_v2_route_has_the_member_error(gateway: Gateway) -> None:
    reply = httpx.post(f"{gateway.url}/v2/models/text-predictor/infer", json={}, trust_env=False)

    assert (reply.status_code, reply.json()["error"]) == (401, reply.json()["detail"])


def test_bodies_are_forwarded_unchanged(gateway: Gateway) -> None:
    body = bytes(range(256)) * 4000
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": "17"}
    with gateway.client() as client:
        reply = client.post("/v2/models/image-predictor/versions/text-predictor/infer", content=body, headers=headers)
        v1 = client.post("/v1/models/text-predictor:predict", content=body)
    seen = gateway.models.seen[0]

    assert (seen.body, seen.path) == (body, "/v2/models/image-predictor/versions/text-predictor/infer")
    assert seen.headers["inference-header-content-length"] == "17"
    assert (reply.status_code, "x-backend" in v1.headers) == (200, False)
    assert v1.json() == {"path": "/v1/models/text-predictor:predict", "length": len(body), "predictions": []}
