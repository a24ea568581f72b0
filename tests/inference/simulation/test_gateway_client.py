"""The client with a gateway that refuses tokens, fails and is unreachable."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from inference.simulation import gateway_client as module
from inference.simulation.gateway_client import (
    GatewayClient,
    GatewayRefused,
    GatewayUnreachable,
    UserAccount,
    connected,
)
from product_classifier.errors import InvalidSettings
from tests.inference.simulation.conftest import ANN
from tests.support.fake_models import served
from tests.support.servers import free_port


class FakeGateway:
    """Issues tokens and sends the scripted responses before successful ones."""

    def __init__(self) -> None:
        self.logins = self.requests = 0
        self.expires_in = 3600
        self.scripted: list[Response] = []
        self.valid: set[str] = set()

    def app(self) -> Starlette:
        return Starlette(
            routes=[Route("/token", self._token, methods=["POST"]), Route("/feedback", self._respond, methods=["POST"])]
        )

    async def _token(self, request: Request) -> Response:
        form = await request.form()
        if form["password"] != ANN.password:
            return JSONResponse({"detail": "the name or the password is wrong"}, 401)
        self.logins += 1
        self.valid.add(f"Bearer token-{self.logins}")
        return JSONResponse({"access_token": f"token-{self.logins}", "expires_in": self.expires_in})

    async def _respond(self, request: Request) -> Response:
        self.requests += 1
        if request.headers["authorization"] not in self.valid:
            return JSONResponse({"detail": "the access token is not valid"}, 401)
        return self.scripted.pop(0) if self.scripted else JSONResponse({"feedback_id": "f1"}, 201)


@pytest.fixture
def fake() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def url(fake: FakeGateway) -> Iterator[str]:
    with served(fake.app()) as address:
        yield address


async def submit(gateway: GatewayClient) -> object:
    return await gateway.request_with_retries(ANN, "POST", "/feedback", {})


@pytest.mark.parametrize(("expires_in", "logins"), [(3600, 1), (0, 3)])
async def test_a_token_is_renewed_before_it_expires(fake: FakeGateway, url: str, expires_in: int, logins: int) -> None:
    fake.expires_in = expires_in
    async with connected(url, 10) as gateway:
        for _ in range(3):
            await submit(gateway)

    assert (logins, 3) == (fake.logins, fake.requests)


async def test_a_token_that_is_refused_is_renewed_once(fake: FakeGateway, url: str) -> None:
    async with connected(url, 10) as gateway:
        await submit(gateway)
        fake.valid.clear()

        assert {"feedback_id": "f1"} == await submit(gateway)
        assert 2 == fake.logins
        fake.scripted = [JSONResponse({"detail": "never"}, 401)] * 9
        assert 401 == (await gateway.request(ANN, "POST", "/feedback", {})).status
        assert 3 == fake.logins


@pytest.mark.parametrize("status", sorted(module.RETRIED))
async def test_a_request_is_retried_until_it_is_accepted(
    fake: FakeGateway, url: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.001)
    fake.scripted = [Response(status_code=status)] * 3
    async with connected(url, 10) as gateway:
        assert {"feedback_id": "f1"} == await submit(gateway)

    assert 4 == fake.requests


async def test_retry_after_is_respected_up_to_the_longest_pause(fake: FakeGateway, url: str) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    fake.scripted = [Response(status_code=503, headers={"Retry-After": value}) for value in ("7", "3600", "soon")]
    async with connected(url, 10, sleep) as gateway:
        await submit(gateway)

    assert [7, module.MAX_PAUSE_S, module.FIRST_PAUSE_S * 4] == waited


async def test_a_refusal_is_not_retried_and_raised_with_its_reason(fake: FakeGateway, url: str) -> None:
    fake.scripted = [JSONResponse({"detail": "this key was used before"}, 409)]
    async with connected(url, 10) as gateway:
        with pytest.raises(
            GatewayRefused, match=r"POST /feedback: the gateway responded with 409: this key was used before"
        ):
            await submit(gateway)

    assert 1 == fake.requests


async def test_a_wrong_password_is_raised_with_the_name_only(url: str) -> None:
    account = module.UserAccount("ann", "user", "hunter2")
    async with connected(url, 10) as gateway:
        with pytest.raises(
            GatewayRefused, match=r"login of 'ann': .* 401: the name or the password is wrong"
        ) as caught:
            await gateway.request(account, "POST", "/feedback", {})

    assert "hunter2" not in f"{caught.value}{account!r}"


async def test_an_unreachable_gateway_is_raised_with_its_address() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with connected(url, 10) as gateway:
        with pytest.raises(GatewayUnreachable, match=f"{url} cannot be reached"):
            await gateway.request(ANN, "POST", "/feedback", {})


async def test_a_token_of_an_issuer_is_sent_without_a_login(fake: FakeGateway, url: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("of-the-issuer\n")
    fake.valid.add("Bearer of-the-issuer")
    user = UserAccount("token", "user", token_file=file)
    async with connected(url, 5) as gateway:
        await gateway.request_with_retries(user, "POST", "/feedback")
        file.write_text("renewed\n")
        fake.valid = {"Bearer renewed"}
        await gateway.request_with_retries(user, "POST", "/feedback")

    assert 0 == fake.logins


async def test_a_token_file_that_is_missing_is_named(url: str, tmp_path: Path) -> None:
    user = UserAccount("token", "user", token_file=tmp_path / "t")
    async with connected(url, 5) as gateway:
        with pytest.raises(InvalidSettings, match=r"TOKEN_FILE: .* cannot be read"):
            await gateway.login(user)
