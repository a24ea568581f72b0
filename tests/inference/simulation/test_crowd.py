"""Who takes part, and what accounts must offer."""

from pathlib import Path
from typing import Any

import pytest

from inference.simulation.crowd import AccountsRefused, Crowd, gathered, read_accounts
from inference.simulation.gateway import GatewayRefused, Person, Reply
from tests.inference.simulation.conftest import ADA, ANN, BOB, RITA


class Issuer:
    """The part of a gateway that knows its users."""

    def __init__(self, *refused: str) -> None:
        self.users: dict[str, str] = {}
        self.refused = refused
        self.lost_replies = 0

    async def login(self, person: Person) -> None:
        """Everybody is known."""

    async def insist(self, person: Person, method: str, path: str, body: Any = None) -> Any:
        reply = await self.ask(person, method, path, body)
        if reply.status >= 300:
            raise GatewayRefused(f"{method} {path}", reply)
        return reply.body

    async def ask(self, person: Person, method: str, path: str, body: Any = None) -> Reply:
        if person.name in self.refused:
            return Reply(403, {"detail": "this needs the role admin"}, None)
        if method == "DELETE":
            del self.users[path.removeprefix("/users/")]
            return Reply(204, None, None)
        self.users[body["name"]] = body["role"]
        return Reply(409 if self.lost_replies else 201, {"detail": "there is already a user"}, None)


async def crowd_of(issuer: Issuer, *accounts: Person, correct: bool = True) -> Crowd:
    async with gathered(issuer, accounts, "r1", correct=correct) as crowd:  # type: ignore[arg-type]
        return crowd


@pytest.mark.parametrize(
    ("accounts", "users", "ways"),
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
async def test_accounts_become_people_whose_corrections_count(
    accounts: list[Person], users: list[str], ways: tuple[str, ...]
) -> None:
    crowd = await crowd_of(Issuer(), *accounts)

    assert users == [person.name for person in crowd.users]
    assert ways == crowd.ways


@pytest.mark.parametrize("accounts", [pytest.param([ANN], id="a user"), pytest.param([RITA], id="a reviewer")])
async def test_accounts_that_cannot_correct_can_still_ask(accounts: list[Person]) -> None:
    with pytest.raises(AccountsRefused, match=f"would not count.*{accounts[0].name}"):
        await crowd_of(Issuer(), *accounts)

    assert tuple(accounts) == (await crowd_of(Issuer(), *accounts, correct=False)).users


async def test_users_made_for_a_run_are_there_during_the_run_only() -> None:
    issuer = Issuer()
    during: dict[str, str] = {}

    async def fails() -> None:
        async with gathered(issuer, (ADA,), "r1", correct=True):  # type: ignore[arg-type]
            during.update(issuer.users)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()

    assert {"simulation-r1-1": "user", "simulation-r1-2": "user"} == during
    assert {} == issuer.users


async def test_a_user_whose_making_was_not_heard_of_is_taken_as_made() -> None:
    issuer = Issuer()
    issuer.lost_replies = 1

    assert 2 == len((await crowd_of(issuer, ADA)).users)


async def test_somebody_who_only_says_to_be_an_admin_is_told_what_the_gateway_says() -> None:
    with pytest.raises(GatewayRefused, match=r"POST /users: the gateway answers 403: this needs the role admin"):
        await crowd_of(Issuer("ada"), ADA)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, "cannot be read", id="no file"),
        pytest.param("{", "the whole file: Invalid JSON", id="not JSON"),
        pytest.param("[]", "the whole file: Input should be", id="a list"),
        pytest.param("{}", "names nobody", id="nobody"),
        pytest.param('{"ann": {"role": "user"}}', "ann.password: Field required", id="no password"),
        pytest.param(
            '{"ann": {"password": "hunter2", "role": "root"}}', "ann.role: Input should be", id="no such role"
        ),
    ],
)
def test_a_file_that_is_no_accounts_is_refused_without_telling_passwords(
    tmp_path: Path, content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "accounts.json").write_text(content)
    with pytest.raises(AccountsRefused, match=said) as caught:
        read_accounts(tmp_path / "accounts.json")

    assert "hunter2" not in str(caught.value)
