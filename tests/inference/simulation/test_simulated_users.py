"""Users of a simulation and the accounts they need."""

from pathlib import Path
from typing import Any

import pytest

from inference.simulation.gateway_client import GatewayRefused, GatewayResponse, UserAccount
from inference.simulation.simulated_users import InvalidAccounts, SimulatedUsers, provision_users, read_accounts
from tests.inference.simulation.conftest import ADA, ANN, BOB, RITA


class FakeUserApi:
    """The user management of a gateway."""

    def __init__(self, *refused: str) -> None:
        self.users: dict[str, str] = {}
        self.refused = refused
        self.lost_responses = 0

    async def login(self, user: UserAccount) -> None:
        """Accept any credentials."""

    async def request_with_retries(self, user: UserAccount, method: str, path: str, body: Any = None) -> Any:
        response = await self.request(user, method, path, body)
        if response.status >= 300:
            raise GatewayRefused(f"{method} {path}", response)
        return response.body

    async def request(self, user: UserAccount, method: str, path: str, body: Any = None) -> GatewayResponse:
        if user.name in self.refused:
            return GatewayResponse(403, {"detail": "this needs the role admin"}, None)
        if method == "DELETE":
            del self.users[path.removeprefix("/users/")]
            return GatewayResponse(204, None, None)
        self.users[body["name"]] = body["role"]
        return GatewayResponse(409 if self.lost_responses else 201, {"detail": "there is already a user"}, None)


async def provision(api: FakeUserApi, *accounts: UserAccount, correct: bool = True) -> SimulatedUsers:
    async with provision_users(api, accounts, "r1", correct=correct) as users:  # type: ignore[arg-type]
        return users


@pytest.mark.parametrize(
    ("accounts", "names", "methods"),
    [
        pytest.param([ANN, BOB], ["ann", "bob"], ("agreement",), id="two users"),
        pytest.param([ANN, RITA], ["ann"], ("approval",), id="a user and a reviewer"),
        pytest.param([ANN, BOB, RITA], ["ann", "bob"], ("agreement", "approval"), id="two users and a reviewer"),
        pytest.param([ADA], ["simulation-r1-1", "simulation-r1-2"], ("agreement", "approval"), id="an admin"),
        pytest.param(
            [ANN, RITA, ADA], ["simulation-r1-1", "simulation-r1-2"], ("agreement", "approval"), id="the demo"
        ),
    ],
)
async def test_accounts_become_users_whose_corrections_become_trusted(
    accounts: list[UserAccount], names: list[str], methods: tuple[str, ...]
) -> None:
    users = await provision(FakeUserApi(), *accounts)

    assert names == [user.name for user in users.users]
    assert methods == users.trust_methods


@pytest.mark.parametrize("accounts", [pytest.param([ANN], id="a user"), pytest.param([RITA], id="a reviewer")])
async def test_accounts_too_few_for_corrections_can_still_predict(accounts: list[UserAccount]) -> None:
    with pytest.raises(InvalidAccounts, match=f"would not become trusted.*{accounts[0].name}"):
        await provision(FakeUserApi(), *accounts)

    assert tuple(accounts) == (await provision(FakeUserApi(), *accounts, correct=False)).users


async def test_temporary_users_exist_during_the_run_only() -> None:
    api = FakeUserApi()
    during: dict[str, str] = {}

    async def fails() -> None:
        async with provision_users(api, (ADA,), "r1", correct=True):  # type: ignore[arg-type]
            during.update(api.users)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()

    assert {"simulation-r1-1": "user", "simulation-r1-2": "user"} == during
    assert {} == api.users


async def test_a_user_whose_creation_had_no_response_counts_as_created() -> None:
    api = FakeUserApi()
    api.lost_responses = 1

    assert 2 == len((await provision(api, ADA)).users)


async def test_an_account_that_is_no_admin_at_the_gateway_is_refused() -> None:
    with pytest.raises(GatewayRefused, match=r"POST /users: the gateway responded with 403: this needs the role admin"):
        await provision(FakeUserApi("ada"), ADA)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        pytest.param(None, "cannot be read", id="no file"),
        pytest.param("{", "the whole file: is not valid JSON", id="not JSON"),
        pytest.param("[]", "the whole file: must be an object", id="a list"),
        pytest.param("{}", "has no account", id="no account"),
        pytest.param('{"ann": {"role": "user"}}', "ann.password: is missing; give it", id="no password"),
        pytest.param('{"ann": {"password": "hunter2", "role": "root"}}', "ann.role: must be", id="no such role"),
    ],
)
def test_an_invalid_accounts_file_is_refused_without_its_passwords(
    tmp_path: Path, content: str | None, error: str
) -> None:
    if content is not None:
        (tmp_path / "accounts.json").write_text(content)
    with pytest.raises(InvalidAccounts, match=error) as caught:
        read_accounts(tmp_path / "accounts.json")

    assert "hunter2" not in str(caught.value)
