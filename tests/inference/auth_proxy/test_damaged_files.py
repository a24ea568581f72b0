"""Files of users, keys and accounts that are damaged, missing, locked or on a full disk."""

import asyncio
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.auth_proxy.__main__ import main
from inference.auth_proxy.auth.keys import KeyRing
from inference.auth_proxy.auth.private_files import StateFileUnusable, replace_file
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.users import UserStore, UsersUnavailable
from tests.inference.auth_proxy.conftest import PASSWORD, Gateway
from tests.support.servers import wait_until_up

KEYS, USERS, ACCOUNTS = "issuer-keys.json", "users.sqlite", "accounts.json"
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "30"))


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def make_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def damage_page(file: Path) -> None:
    """Overwrite the middle of the file, and drop what SQLite has beside it."""
    data = bytearray(file.read_bytes())
    data[100:4000] = bytes(3900)
    file.write_bytes(data)


def other_schema(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE users (name TEXT)")


def elliptic_key(file: Path) -> None:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(orjson.dumps({"keys": [{"kid": "a", "pem": pem.decode(), "retired": None}]}))


def retire_all(file: Path) -> None:
    KeyRing(file, 100).rotate()
    rows = orjson.loads(file.read_bytes())["keys"]
    file.write_bytes(orjson.dumps({"keys": [row for row in rows if row["retired"]]}))


def writing(content: bytes) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(content)


DAMAGES: dict[str, dict[str, Callable[[Path], object]]] = {
    KEYS: {
        "empty": writing(b""), "garbage": writing(b"\x00\xff garbage"), "no keys": writing(b'{"keys": []}'),
        "an object": writing(b"{}"), "a list": writing(b"[]"), "null": writing(b"null"),
        "rows": writing(b'{"keys": 1}'), "row": writing(b'{"keys": [1]}'),
        "no pem": writing(b'{"keys": [{"kid": "a", "retired": null}]}'),
        "bad pem": writing(b'{"keys": [{"kid": "a", "pem": "PRIVATE", "retired": null}]}'),
        "elliptic": elliptic_key, "all retired": retire_all, "truncated": truncate, "a folder": make_folder,
    },
    USERS: {
        "empty": writing(b""), "garbage": writing(b"garbage" * 1000), "zeros": writing(bytes(8192)),
        "other schema": other_schema, "damaged page": damage_page, "a folder": make_folder,
    },
    ACCOUNTS: {
        "empty": writing(b""), "garbage": writing(b"\x00\xff"), "a list": writing(b"[]"),
        "a number": writing(b'{"demo-user": 1}'), "password": writing(b'{"demo-user": {"password": 1}}'),
        "truncated": truncate, "a folder": make_folder,
    },
}  # fmt: skip
CASES = [(name, damage) for name, damages in DAMAGES.items() for damage in damages]


@pytest.fixture(scope="module")
def complete_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state")
    assert main(["accounts", "--state", str(folder)]) == 0
    assert main(["rotate-key", "--state", str(folder)]) == 0
    return folder


@pytest.fixture
def state(complete_state: Path, tmp_path: Path) -> Path:
    """A folder with users, keys and accounts, as processes that have ended leave it."""
    for file in complete_state.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


@pytest.mark.parametrize(("name", "damage"), CASES)
def test_a_damaged_file_is_named_at_start_with_what_to_do(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, damage: str
) -> None:
    DAMAGES[name][damage](state / name)
    monkeypatch.setattr("inference.auth_proxy.__main__.configure_logging", lambda service: None)
    monkeypatch.setattr("inference.auth_proxy.__main__.listen", lambda *_: pytest.fail("the gateway started"))

    status = main(["accounts", "--state", str(state)] if name == ACCOUNTS else ["--state", str(state)])
    output = capsys.readouterr().err

    assert status == 2
    assert str(state / name) in output
    assert "; restore" in output or "; check" in output
    assert "Traceback" not in output
    assert [line for line in output.splitlines() if line.startswith("auth-proxy: ")] == [output.splitlines()[-1]]


@pytest.mark.parametrize("damage", DAMAGES[KEYS])
def test_a_damaged_key_file_is_not_replaced_by_a_rotation(state: Path, damage: str) -> None:
    DAMAGES[KEYS][damage](state / KEYS)
    before = (state / KEYS).read_bytes() if (state / KEYS).is_file() else None

    assert main(["rotate-key", "--state", str(state)]) == 2
    assert before == ((state / KEYS).read_bytes() if (state / KEYS).is_file() else None)


@pytest.mark.parametrize("damage", ["missing", *DAMAGES[KEYS]])
def test_a_running_gateway_uses_its_keys_while_their_file_is_damaged(own_gateway: Gateway, damage: str) -> None:
    file = own_gateway.state / KEYS
    kept = file.with_name("kept")
    kept.write_bytes(file.read_bytes())
    token = own_gateway.token()
    {**DAMAGES[KEYS], "missing": Path.unlink}[damage](file)

    with own_gateway.client(None) as client:
        known = client.get("/categories", headers={"Authorization": f"Bearer {token}"}).status_code
        unknown = client.get("/categories", headers={"Authorization": f"Bearer {token[:-4]}AAAA"}).status_code
        login = client.post("/token", data={"username": "ursula", "password": PASSWORD}).status_code
        published = client.get("/.well-known/jwks.json")
        ready = client.get("/readyz")
        for _ in range(20):  # a probe of a fake model may time out on a busy machine
            if ready.json()["status"] == "degraded":
                break
            time.sleep(0.5)
            ready = client.get("/readyz")
        if file.is_dir():
            file.rmdir()
        kept.replace(file)
        time.sleep(1.1)
        healed = client.get("/readyz").json()["checks"]["keys"]

    assert (known, unknown, login, published.status_code, len(published.json()["keys"])) == (200, 401, 200, 200, 1)
    assert (ready.status_code, ready.json()["status"], ready.json()["checks"]["keys"]) == (200, "degraded", False)
    assert str(own_gateway.state) not in ready.text
    assert healed is True


def test_a_rotation_is_used_after_the_file_was_missing(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / KEYS, 100)
    first = ring.signing().kid
    (tmp_path / KEYS).unlink()
    during = ring.signing().kid
    second = KeyRing(tmp_path / KEYS, 100).signing().kid

    assert first == during != second == ring.signing().kid


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["keys", "kid", "pem", "retired"]), inner)
        ),
    ).map(orjson.dumps)
)
def test_any_content_of_the_key_file_leaves_the_keys_in_use(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / KEYS
    file.unlink(missing_ok=True)
    ring = KeyRing(file, 100)
    kid = ring.signing().kid
    replace_file(file, content)

    assert (ring.signing().kid, ring.check()) == (kid, False)
    with pytest.raises(StateFileUnusable, match="restore the file"):
        KeyRing(file, 100)


CHANGES: dict[str, Callable[[httpx.Client], httpx.Response]] = {
    "add": lambda client: client.post("/users", json={"name": "zoe", "password": "p" * 12}),
    "change": lambda client: client.patch("/users/remy", json={"role": "admin", "password": "q" * 12}),
    "remove": lambda client: client.delete("/users/remy"),
}


@contextmanager
def missing(gateway: Gateway) -> Iterator[None]:
    file = gateway.state / USERS
    file.rename(file.with_name("kept"))
    yield
    file.with_name("kept").rename(file)


@contextmanager
def locked(gateway: Gateway) -> Iterator[None]:
    with closing(sqlite3.connect(gateway.state / USERS, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.mark.parametrize("fault", [missing, locked])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_users_that_would_be_lost_is_503_and_has_no_effect(
    own_gateway: Gateway, fault: Callable[[Gateway], AbstractContextManager[None]], change: str
) -> None:
    with own_gateway.client("ada") as client:
        before = client.get("/users").json()
        with fault(own_gateway):
            refused = CHANGES[change](client)
            during = client.get("/users").json()
            login = client.post("/token", data={"username": "ursula", "password": PASSWORD}).status_code
        after = client.get("/users").json()
        accepted = CHANGES[change](client).status_code

    assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
    assert refused.headers["retry-after"] == "5"
    assert str(own_gateway.state) not in refused.text
    assert (during, after, login) == (before, before, 200)
    assert accepted in {200, 201, 204}


def test_a_database_put_in_the_place_of_the_open_one_is_used_after_a_restart_only(own_gateway: Gateway) -> None:
    """Both would use the same write-ahead log: reading on could mix them."""
    with own_gateway.client("ada") as client:
        (own_gateway.state / USERS).rename(own_gateway.state / "kept")
        UserStore(own_gateway.state / USERS).close()
        login = client.post("/token", data={"username": "ursula", "password": PASSWORD})
        ready = client.get("/readyz")
        statuses = {change(client).status_code for change in CHANGES.values()} | {client.get("/users").status_code}

    assert (statuses, login.status_code, ready.status_code) == ({503}, 503, 503)
    assert ready.json()["checks"]["users"] is False


@pytest.mark.parametrize("damage", ["garbage", "zeros", "damaged page"])
def test_a_database_damaged_while_in_use_gives_a_problem_and_never_an_internal_error(
    own_gateway: Gateway, damage: str
) -> None:
    with own_gateway.client("ada") as client:
        DAMAGES[USERS][damage](own_gateway.state / USERS)
        (own_gateway.state / f"{USERS}-wal").write_bytes(b"")
        replies = [
            client.get("/categories"),
            client.get("/users"),
            client.post("/token", data={"username": "ursula", "password": PASSWORD}),
            *(change(client) for change in CHANGES.values()),
            client.get("/readyz"),
        ]

    assert {reply.status_code for reply in replies} <= {200, 201, 204, 401, 503}
    assert all(reply.json() for reply in replies if reply.status_code == 503)


def test_an_unknown_role_in_the_database_is_a_problem(tmp_path: Path) -> None:
    users = UserStore(tmp_path / USERS)
    users.add("ada", PASSWORD, Role.ADMIN)
    with closing(sqlite3.connect(tmp_path / USERS)) as connection, connection:
        connection.execute("UPDATE users SET role = 'root'")

    for read in (lambda: users.get("ada"), users.all, lambda: users.authenticate("ada", PASSWORD)):
        with pytest.raises(UsersUnavailable):
            read()


@contextmanager
def gateway_process(state: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    environment = os.environ | {
        "AUTH_PROXY_PORT": str(port), "AUTH_PROXY_METRICS_PORT": "0", "AUTH_PROXY_STATE_DIR": str(state),
    }  # fmt: skip
    command = [sys.executable, "-m", "inference.auth_proxy"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def test_on_a_full_disk_users_are_read_and_changes_refused(state: Path) -> None:
    """The limit of the size of files makes every write fail in the operating system, as a full disk does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    password = orjson.loads((state / ACCOUNTS).read_bytes())["demo-admin"]["password"]
    with (
        gateway_process(state, port) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, verify=False, timeout=30) as client,
    ):
        wait_until_up(client)
        token = client.post("/token", data={"username": "demo-admin", "password": password}).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        before, healthy = client.get("/users").json(), client.get("/readyz").json()["checks"]
        unlimited = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, unlimited[1]))
        change = {"password": "q" * 12}
        replies = [
            client.post("/users", json={"name": "zoe", "password": "p" * 12}),
            client.patch("/users/demo-user", json=change),
            client.delete("/users/demo-user"),
        ]
        during = client.get("/users").json()
        login = client.post("/token", data={"username": "demo-admin", "password": password}).status_code
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)
        after = client.post("/users", json={"name": "zoe", "password": "p" * 12}).status_code

    assert [reply.status_code for reply in replies] == [503] * 3
    assert (before, login, after) == (during, 200, 201)
    assert healthy["store"] is healthy["users"] is True


def test_a_failed_replacement_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "file"
    replace_file(file, b"before")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, limit[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            replace_file(file, b"after" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)

    assert (file.read_bytes(), list(tmp_path.iterdir())) == (b"before", [file])


async def test_a_locked_database_blocks_neither_logins_nor_the_event_loop(own_gateway: Gateway) -> None:
    headers = own_gateway.headers("ada")
    async with httpx.AsyncClient(base_url=own_gateway.url, headers=headers, trust_env=False, verify=False) as client:
        with locked(own_gateway):
            change = asyncio.create_task(client.patch("/users/remy", json={"disabled": True}, timeout=30))
            await asyncio.sleep(0.05)
            served = [
                await client.get("/categories"),
                await client.post("/token", data={"username": "ursula", "password": PASSWORD}),
            ]
            waiting = not change.done()
            refused = await change

    assert [reply.status_code for reply in served] == [200, 200]
    assert (waiting, refused.status_code) == (True, 503)
