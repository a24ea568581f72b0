"""Users of a simulation, whose corrections become trusted.

A correction is trusted when two users agree on it, or when a reviewer approves a user's. If the accounts include an
admin, it creates two users for the simulation and deletes them afterwards; otherwise the given accounts are used.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from inference.simulation.gateway_client import GatewayClient, GatewayRefused, UserAccount
from product_classifier.errors import ProductClassifierError
from product_classifier.validation_messages import described

TrustMethod = Literal["agreement", "approval"]
CONFLICT = 409


class InvalidAccounts(ProductClassifierError):
    """The accounts cannot be read, or have too few roles for trusted corrections."""


class _AccountEntry(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    password: SecretStr
    role: Literal["user", "reviewer", "admin"]


@dataclass(frozen=True, slots=True)
class SimulatedUsers:
    """Users who send requests in turn, and the reviewer who approves their corrections."""

    users: tuple[UserAccount, ...]
    reviewer: UserAccount | None

    @property
    def trust_methods(self) -> tuple[TrustMethod, ...]:
        """How a correction by these users can become trusted."""
        correctors = [account for account in self.users if account.role == "user"]
        methods: list[TrustMethod] = ["agreement"] if len(correctors) > 1 else []
        if correctors and self.reviewer:
            methods.append("approval")
        return tuple(methods)


def read_accounts(file: Path) -> tuple[UserAccount, ...]:
    """Read a JSON file `{name: {password, role}}`; raise `InvalidAccounts` if it is missing or invalid."""
    try:
        entries = TypeAdapter(dict[str, _AccountEntry]).validate_json(file.read_bytes())
    except OSError as error:
        raise InvalidAccounts(
            f"accounts {str(file)!r}: cannot be read ({error.strerror}); `make run` creates the file"
        ) from error
    except ValidationError as error:
        where, what = described(error)[0]
        raise InvalidAccounts(f"accounts {str(file)!r}: {where or 'the whole file'}: {what}") from error
    if not entries:
        raise InvalidAccounts(f"accounts {str(file)!r}: has no account; add {{name: {{password, role}}}}")
    return tuple(UserAccount(name, entry.role, entry.password.get_secret_value()) for name, entry in entries.items())


@asynccontextmanager
async def provision_users(
    gateway: GatewayClient, accounts: tuple[UserAccount, ...], run: str, *, correct: bool
) -> AsyncIterator[SimulatedUsers]:
    """Yield the users of a simulation; users created for it are deleted afterwards.

    Raises:
        InvalidAccounts: If `correct` and corrections of these accounts cannot become trusted.
    """
    admin = _first(accounts, "admin")
    await gateway.login(admin or accounts[0])
    async with _temporary_users(gateway, admin, run) as created:
        users = created or tuple(account for account in accounts if account.role == "user") or accounts[:1]
        simulated = SimulatedUsers(users, _first(accounts, "reviewer") or admin)
        if correct and not simulated.trust_methods:
            raise InvalidAccounts(
                "accounts: corrections would not become trusted; give an admin, two users, or a user and a reviewer, "
                f"instead of {', '.join(f'{account.name} ({account.role})' for account in accounts)}"
            )
        yield simulated


@asynccontextmanager
async def _temporary_users(
    gateway: GatewayClient, admin: UserAccount | None, run: str
) -> AsyncIterator[tuple[UserAccount, ...]]:
    if admin is None:
        yield ()
        return
    created = tuple(UserAccount(f"simulation-{run}-{number}", "user", secrets.token_urlsafe(24)) for number in (1, 2))
    try:
        for user in created:
            await _create(gateway, admin, user)
        yield created
    finally:
        for user in created:
            with suppress(ProductClassifierError):  # an earlier error is more important
                await gateway.request(admin, "DELETE", f"/users/{user.name}")


async def _create(gateway: GatewayClient, admin: UserAccount, user: UserAccount) -> None:
    body = {"name": user.name, "password": user.password, "role": user.role}
    try:
        await gateway.request_with_retries(admin, "POST", "/users", body)
    except GatewayRefused as error:
        if error.status != CONFLICT:  # a conflict: an earlier attempt created the user and its response was lost
            raise


def _first(accounts: tuple[UserAccount, ...], role: str) -> UserAccount | None:
    return next((account for account in accounts if account.role == role), None)
