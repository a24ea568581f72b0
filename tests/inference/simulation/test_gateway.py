"""The client against gateways with moods."""

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from inference.simulation import gateway as module
from inference.simulation.gateway import Gateway, GatewayRefused, GatewayUnreachable, connected
from tests.inference.simulation.conftest import ANN
from tests.support.fake_models import served
from tests.support.servers import free_port


class Moody:
    """Gives tokens, and answers what it was told to before it answers normally."""

    def __init__(self) -> None:
        self.logins = self.asked = 0
        self.expires_in = 3600
        self.moods: list[Response] = []
        self.good: set[str] = set()

    def app(self) -> Starlette:
        return Starlette(
            routes=[Route("/token", self._token, methods=["POST"]), Route("/feedback", self._answer, methods=["POST"])]
        )

    async def _token(self, request: Request) -> Response:
        form = await request.form()
        if form["password"] != ANN.password:
            return JSONResponse({"detail": "the name or the password is wrong"}, 401)
        self.logins += 1
        self.good.add(f"Bearer token-{self.logins}")
        return JSONResponse({"access_token": f"token-{self.logins}", "expires_in": self.expires_in})

    async def _answer(self, request: Request) -> Response:
        self.asked += 1
        if request.headers["authorization"] not in self.good:
            return JSONResponse({"detail": "the access token is not valid"}, 401)
        return self.moods.pop(0) if self.moods else JSONResponse({"feedback_id": "f1"}, 201)


@pytest.fixture
def moody() -> Moody:
    return Moody()


@pytest.fixture
def url(moody: Moody) -> Iterator[str]:
    with served(moody.app()) as address:
        yield address


async def give(gateway: Gateway) -> object:
    return await gateway.insist(ANN, "POST", "/feedback", {})


@pytest.mark.parametrize(("expires_in", "logins"), [(3600, 1), (0, 3)])
async def test_a_token_is_used_until_it_is_about_to_expire(
    moody: Moody, url: str, expires_in: int, logins: int
) -> None:
    moody.expires_in = expires_in
    async with connected(url, 10) as gateway:
        for _ in range(3):
            await give(gateway)

    assert (logins, 3) == (moody.logins, moody.asked)


async def test_a_token_that_is_refused_is_renewed_once(moody: Moody, url: str) -> None:
    async with connected(url, 10) as gateway:
        await give(gateway)
        moody.good.clear()

        assert {"feedback_id": "f1"} == await give(gateway)
        assert 2 == moody.logins
        moody.moods = [JSONResponse({"detail": "never"}, 401)] * 9
        assert 401 == (await gateway.ask(ANN, "POST", "/feedback", {})).status
        assert 3 == moody.logins


@pytest.mark.parametrize("status", sorted(module.BUSY))
async def test_what_may_be_repeated_is_until_it_is_taken(
    moody: Moody, url: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.001)
    moody.moods = [Response(status_code=status)] * 3
    async with connected(url, 10) as gateway:
        assert {"feedback_id": "f1"} == await give(gateway)

    assert 4 == moody.asked


async def test_it_waits_as_long_as_it_is_asked_to(moody: Moody, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    moody.moods = [Response(status_code=503, headers={"Retry-After": value}) for value in ("7", "3600", "soon")]
    async with connected(url, 10) as gateway:
        await give(gateway)

    assert [7, module.LONGEST_PAUSE_S, module.PAUSE_S * 4] == waited[:3]


async def test_a_refusal_is_not_repeated_and_told_with_its_reason(moody: Moody, url: str) -> None:
    moody.moods = [JSONResponse({"detail": "this key was used before"}, 409)]
    async with connected(url, 10) as gateway:
        with pytest.raises(GatewayRefused, match=r"POST /feedback: the gateway answers 409: this key was used before"):
            await give(gateway)

    assert 1 == moody.asked


async def test_a_wrong_password_is_told_with_the_name_only(url: str) -> None:
    liar = module.Person("ann", "user", "hunter2")
    async with connected(url, 10) as gateway:
        with pytest.raises(
            GatewayRefused, match=r"login of 'ann': .* 401: the name or the password is wrong"
        ) as caught:
            await gateway.ask(liar, "POST", "/feedback", {})

    assert "hunter2" not in f"{caught.value}{liar!r}"


async def test_nobody_at_the_address_is_told_with_the_address() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with connected(url, 10) as gateway:
        with pytest.raises(GatewayUnreachable, match=f"{url} cannot be reached"):
            await gateway.ask(ANN, "POST", "/feedback", {})
