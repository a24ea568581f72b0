"""`python -m inference.auth_proxy`: serve, or look after accounts and keys."""

import argparse
import getpass
import signal
import sys
from pathlib import Path

from prometheus_client import start_http_server
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from inference.auth_proxy.app import Collaborators, create_app
from inference.auth_proxy.auth.demo import make_accounts
from inference.auth_proxy.auth.keys import KeyRing
from inference.auth_proxy.auth.oidc import ExternalIssuer, RemoteKeys
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.tokens import LEEWAY_S, EmbeddedIssuer, Verifier
from inference.auth_proxy.auth.users import Users
from inference.auth_proxy.endpoints import FEEDBACK
from inference.auth_proxy.metrics import Metrics
from inference.auth_proxy.predictions.backends import Backends
from inference.auth_proxy.rate_limits import RateLimits
from inference.auth_proxy.schemas import NewUser
from inference.auth_proxy.server import listen, make_server
from inference.auth_proxy.settings import Settings
from inference.durability.deadline import DeadlineWriter
from inference.durability.writer import DurableWriter
from inference.http.problems import Problem, public_message
from product_classifier.errors import ProductClassifierError
from product_classifier.observability import configure_logging
from product_classifier.settings_help import settings_parser
from product_classifier.store import StoreSettings, open_store
from product_classifier.store.journal import Journal

JOURNAL_BYTES = 1 << 30
REPLAY_PAUSE_S = 2.0
"""Longest pause between two attempts to reach an unavailable store."""
SHOWN_SETTINGS = frozenset(name for name, about in Settings.model_fields.items() if about.annotation in {int, float})


def assemble(settings: Settings) -> Collaborators:
    """Build what the gateway works with, from what the deployment decided."""
    metrics = Metrics()
    urls = {
        "fusion-transformer": settings.fusion_url,
        "text-predictor": settings.text_url,
        "image-predictor": settings.image_url,
    }
    if settings.feedback_url:
        urls[FEEDBACK] = settings.feedback_url
    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = open_store(settings.store_address(), create=settings.store_address().startswith("file:"))
    journal = Journal(settings.state_dir / "prediction-journal", max_bytes=JOURNAL_BYTES)
    record_writer = DeadlineWriter(
        DurableWriter(store, journal, max_pause_s=REPLAY_PAUSE_S, index_pending=False),
        deadline_s=settings.record_deadline_s,
        max_backlog_bytes=settings.record_backlog_mb << 20,
        count=metrics.recorded,
        set_backlog=metrics.records_waiting.set,
    )
    limits = RateLimits(
        products=settings.rate_limit,
        wrong_passwords=settings.login_limit,
        wrong_passwords_per_address=settings.login_address_limit,
    )
    backends = Backends(urls, settings.backend_timeout_s)
    return Collaborators(settings, make_verifier(settings), backends, record_writer, limits, metrics)


def make_verifier(settings: Settings) -> Verifier:
    """Return the external issuer when one is configured, else our own."""
    if settings.oidc_issuer is None or settings.oidc_audience is None:
        return EmbeddedIssuer(
            _keys(settings.state_dir, settings.token_ttl_s),
            _users(settings.state_dir),
            issuer=settings.token_issuer,
            audience=settings.token_audience,
            ttl_s=settings.token_ttl_s,
        )
    return ExternalIssuer(
        RemoteKeys(settings.oidc_issuer, settings.oidc_jwks_url),
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        roles_claim=settings.oidc_roles_claim,
        token_types=settings.oidc_token_types,
    )


def serve(settings: Settings) -> None:
    """Answer until told to stop."""
    configure_logging("auth-proxy")
    collaborators = assemble(settings)
    listener = listen(settings.host, settings.port)
    if settings.metrics_port:
        start_http_server(settings.metrics_port, settings.metrics_host, collaborators.metrics.registry)
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn stops at these and, once stopped, raises them again for whoever was there before: us, satisfied
        signal.signal(number, lambda *_: None)
    make_server(create_app(collaborators), settings).run(sockets=[listener])


def main(arguments: list[str]) -> int:
    """Run one command; 2 and one sentence when it cannot be done."""
    options = _parse(arguments)
    try:
        settings = Settings()
        state = options.state or settings.state_dir
        match options.command:
            case "accounts":
                make_accounts(_users(state), options.file or state / "accounts.json")
            case "add-user":
                password = sys.stdin.readline().rstrip("\n") if not sys.stdin.isatty() else getpass.getpass()
                new = NewUser(name=options.name, password=password, role=options.role)
                _users(state).add(new.name, new.password, new.role)
            case "rotate-key":
                print(_keys(state, settings.token_ttl_s).rotate(revoke=options.revoke))  # noqa: T201
            case _:
                serve(settings.model_copy(update={"state_dir": state}))
    except OSError as error:
        return _refuse(f"{error.strerror or error} (port {settings.port}, internal {settings.metrics_port}, {state})")
    except ValidationError as error:
        return _refuse("; ".join(f"{_place(one)}: {one['msg']}{_given(one)}" for one in error.errors()))
    except (ProductClassifierError, Problem, ValueError) as error:
        return _refuse(str(error))
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = settings_parser("python -m inference.auth_proxy", __doc__, Settings, StoreSettings)
    parser.add_argument("--state", type=Path, help="folder of users and keys (AUTH_PROXY_STATE_DIR)")
    parser.set_defaults(command="serve")
    commands = parser.add_subparsers(title="commands; without one it serves")
    for name, about in {
        "accounts": "make the three demo accounts, once",
        "add-user": "create an account; the password is read from standard input",
        "rotate-key": "sign with a new key; the one before verifies until its tokens have expired",
    }.items():
        command = commands.add_parser(name, help=about)
        command.set_defaults(command=name)
        command.add_argument("--state", type=Path, default=argparse.SUPPRESS)
        match name:
            case "accounts":
                command.add_argument("--file", type=Path, help="where to keep them; accounts.json in the state folder")
            case "add-user":
                command.add_argument("name")
                command.add_argument("--role", choices=list(Role), default=Role.USER)
            case _:
                command.add_argument("--revoke", action="store_true", help="refuse all tokens issued before")
    return parser.parse_args(arguments)


def _users(state: Path) -> Users:
    return Users(state / "users.sqlite")


def _keys(state: Path, token_ttl_s: int) -> KeyRing:
    return KeyRing(state / "issuer-keys.json", keep_s=token_ttl_s + LEEWAY_S)


def _place(error: ErrorDetails) -> str:
    return ".".join(map(str, error["loc"])) or "settings"


def _given(error: ErrorDetails) -> str:
    """Return the value at fault where it can be no secret."""
    return f", not {public_message(error['input'])}" if _place(error) in SHOWN_SETTINGS else ""


def _refuse(reason: str) -> int:
    print(f"auth-proxy: {reason}", file=sys.stderr)  # noqa: T201
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
