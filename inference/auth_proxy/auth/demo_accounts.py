"""The three demo accounts of a local run.

Their passwords are random, created once, and in a file that only its owner can read.
"""

import os
import secrets
from pathlib import Path

import orjson

from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.users import UserStore
from inference.http.problems import Problem

NAMES = {f"demo-{role}": role for role in Role}


def create_demo_accounts(users: UserStore, file: Path) -> dict[str, dict[str, str]]:
    """Return `{name: {password, role}}`, the same at every call; create or reset users that differ."""
    known = orjson.loads(file.read_bytes()) if file.exists() else {}
    wanted = {
        name: {"password": known.get(name, {}).get("password") or secrets.token_urlsafe(16), "role": role.value}
        for name, role in NAMES.items()
    }
    if wanted != known:
        _write(file, wanted)
    for name, account in wanted.items():
        _ensure(users, name, account["password"], Role(account["role"]))
    return wanted


def _ensure(users: UserStore, name: str, password: str, role: Role) -> None:
    try:
        users.add(name, password, role)
    except Problem:
        user = users.authenticate(name, password)
        if user is None or user.role is not role:
            users.change(name, password=password, role=role, disabled=False)


def _write(file: Path, accounts: dict[str, dict[str, str]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(orjson.dumps(accounts, option=orjson.OPT_INDENT_2))
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
