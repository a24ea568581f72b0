"""The three demo accounts of a local run.

Their passwords are random, created once, and in a file that only its owner can read.
"""

import secrets
from pathlib import Path

import orjson
from pydantic import TypeAdapter, ValidationError

from inference.auth_proxy.auth.private_files import StateFileUnusable, reason_of, replace_file, restrict
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.users import UserStore
from inference.http.problems import Problem

NAMES = {f"demo-{role}": role for role in Role}
ACCOUNTS = TypeAdapter(dict[str, dict[str, str]])


def create_demo_accounts(users: UserStore, file: Path) -> dict[str, dict[str, str]]:
    """Return `{name: {password, role}}`, the same at every call; create or reset users that differ."""
    known = _read(file)
    wanted = {
        name: {"password": known.get(name, {}).get("password") or secrets.token_urlsafe(16), "role": role.value}
        for name, role in NAMES.items()
    }
    if wanted != known:
        _write(file, wanted)
    for name, account in wanted.items():
        _ensure(users, name, account["password"], Role(account["role"]))
    return wanted


def _read(file: Path) -> dict[str, dict[str, str]]:
    """Return the accounts of the file, none if there is no file; raise `StateFileUnusable` if it cannot be used."""
    try:
        restrict(file)
        return ACCOUNTS.validate_json(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else "is not a JSON object of accounts"
        raise StateFileUnusable(
            f"accounts {str(file)!r}: {reason}; restore it from a backup, or delete it to get new passwords"
        ) from error


def _ensure(users: UserStore, name: str, password: str, role: Role) -> None:
    try:
        users.add(name, password, role)
    except Problem as problem:
        if problem.status != 409:
            raise
        user = users.authenticate(name, password)
        if user is None or user.role is not role:
            users.change(name, password=password, role=role, disabled=False)


def _write(file: Path, accounts: dict[str, dict[str, str]]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(file, orjson.dumps(accounts, option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise StateFileUnusable(
            f"accounts {str(file)!r}: cannot be written: {reason_of(error)}; check disk and folder"
        ) from error
