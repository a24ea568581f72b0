"""The people of a simulation: who asks, and whose corrections count.

A correction counts when two users say the same, or when a reviewer approves what a user says. An admin among the
accounts makes two users for the simulation alone and removes them at the end; without one the given accounts must do.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from inference.simulation.gateway import Gateway, GatewayRefused, Person
from product_classifier.errors import ProductClassifierError

Way = Literal["agreement", "approval"]
TAKEN = 409


class AccountsRefused(ProductClassifierError):
    """The accounts cannot be read, or are not enough for what is to be done."""


class _Account(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    password: SecretStr
    role: Literal["user", "reviewer", "admin"]


@dataclass(frozen=True, slots=True)
class Crowd:
    """Users ask in turn; a reviewer, if there is one, approves what they correct."""

    users: tuple[Person, ...]
    reviewer: Person | None

    @property
    def ways(self) -> tuple[Way, ...]:
        """How these people can make a correction count."""
        voters = [person for person in self.users if person.role == "user"]
        found: list[Way] = ["agreement"] if len(voters) > 1 else []
        if voters and self.reviewer:
            found.append("approval")
        return tuple(found)


def read_accounts(file: Path) -> tuple[Person, ...]:
    """Read `{name: {password, role}}`."""
    try:
        known = TypeAdapter(dict[str, _Account]).validate_json(file.read_bytes())
    except OSError as error:
        raise AccountsRefused(
            f"accounts {str(file)!r} cannot be read ({error.strerror}); a local run (`make run`) makes the file"
        ) from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole file"
        raise AccountsRefused(f"accounts {str(file)!r}: {where}: {first['msg']}") from error
    if not known:
        raise AccountsRefused(f"accounts {str(file)!r} names nobody")
    return tuple(Person(name, one.role, one.password.get_secret_value()) for name, one in known.items())


@asynccontextmanager
async def gathered(gateway: Gateway, accounts: tuple[Person, ...], run: str, *, correct: bool) -> AsyncIterator[Crowd]:
    """Give the people of a run; accounts that were made for it are removed at the end."""
    admin = _first(accounts, "admin")
    await gateway.login(admin or accounts[0])
    async with _users_of_its_own(gateway, admin, run) as made:
        users = made or tuple(person for person in accounts if person.role == "user") or accounts[:1]
        crowd = Crowd(users, _first(accounts, "reviewer") or admin)
        if correct and not crowd.ways:
            raise AccountsRefused(
                "corrections would not count: the accounts need an admin, two users, or a user and a reviewer; "
                f"they are {', '.join(f'{person.name} ({person.role})' for person in accounts)}"
            )
        yield crowd


@asynccontextmanager
async def _users_of_its_own(gateway: Gateway, admin: Person | None, run: str) -> AsyncIterator[tuple[Person, ...]]:
    if admin is None:
        yield ()
        return
    made = tuple(Person(f"simulation-{run}-{number}", "user", secrets.token_urlsafe(24)) for number in (1, 2))
    try:
        for person in made:
            await _make(gateway, admin, person)
        yield made
    finally:
        for person in made:
            with suppress(ProductClassifierError):  # what went wrong before matters more
                await gateway.ask(admin, "DELETE", f"/users/{person.name}")


async def _make(gateway: Gateway, admin: Person, person: Person) -> None:
    wanted = {"name": person.name, "password": person.password, "role": person.role}
    try:
        await gateway.insist(admin, "POST", "/users", wanted)
    except GatewayRefused as error:
        if error.status != TAKEN:  # by an attempt of ours whose reply was lost: nobody else knows the name
            raise


def _first(accounts: tuple[Person, ...], role: str) -> Person | None:
    return next((person for person in accounts if person.role == role), None)
