"""Run the gateway, or manage its users and signing keys: `python -m inference.auth_proxy [command]`."""

import argparse
import getpass
import secrets
import signal
import sys
from pathlib import Path

from pydantic import ValidationError

from inference.auth_proxy.app import create_app
from inference.auth_proxy.audit.audit_log import AuditLog
from inference.auth_proxy.auth.api_keys import KEYS_FILE, ApiKeyStore, ApiKeyVerifier
from inference.auth_proxy.auth.authorization_code import AuthorizationCodeFlow
from inference.auth_proxy.auth.demo_accounts import create_demo_accounts
from inference.auth_proxy.auth.keys import KeyRing
from inference.auth_proxy.auth.oidc import ExternalIssuer, RemoteKeys
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.sessions import Sessions
from inference.auth_proxy.auth.tokens import LEEWAY_S, EmbeddedIssuer, Verifier
from inference.auth_proxy.auth.users import USERS_FILE, UserStore
from inference.auth_proxy.collaborators import Collaborators
from inference.auth_proxy.gateway_metrics import GatewayMetrics
from inference.auth_proxy.predictions.backends import FEEDBACK, Backends
from inference.auth_proxy.rate_limits import RateLimits
from inference.auth_proxy.schemas import NewUser
from inference.auth_proxy.server import listen, make_server, serve_metrics
from inference.auth_proxy.settings import Settings
from inference.durability.deadline import DeadlineWriter
from inference.durability.writer import DurableWriter
from inference.http.problems import Problem
from product_classifier.descriptors import raise_descriptor_limit
from product_classifier.errors import ProductClassifierError
from product_classifier.feedback.records import PHOTO_PREFIX
from product_classifier.model_names import FUSION, IMAGE, TEXT
from product_classifier.observability import configure_logging
from product_classifier.settings_help import settings_parser
from product_classifier.settings_reader import read_settings
from product_classifier.store import StoreSettings, open_store
from product_classifier.store.journal import Journal
from product_classifier.stored_taxonomy.change_store import StoredTaxonomy
from product_classifier.tracing import configure_tracing
from product_classifier.validation_messages import described

JOURNAL_BYTES = 1 << 30
PROBE_KEY = f"{PHOTO_PREFIX}probe"
REPLAY_PAUSE_S = 2.0
"""Longest pause between two attempts to reach an unavailable store."""


def assemble(settings: Settings) -> Collaborators:
    """Return the collaborators that the settings describe."""
    metrics = GatewayMetrics()
    urls = {
        FUSION: settings.fusion_url,
        TEXT: settings.text_url,
        IMAGE: settings.image_url,
    }
    if settings.feedback_url:
        urls[FEEDBACK] = settings.feedback_url
    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = open_store(settings.store_address(), create=settings.store_address().startswith("file:"))
    journal = Journal(settings.state_dir / "prediction-journal", max_bytes=JOURNAL_BYTES)
    writer = DurableWriter(store, journal, probe_key=PROBE_KEY, max_pause_s=REPLAY_PAUSE_S, index_pending=False)
    record_writer = DeadlineWriter(
        writer,
        deadline_s=settings.record_deadline_s,
        max_backlog_bytes=settings.record_backlog_mb << 20,
        count=metrics.count_record,
        set_backlog=metrics.record_backlog.set,
    )
    limits = RateLimits(products=settings.rate_limit, megapixels=settings.megapixel_limit)
    backends = Backends(urls, settings.backend_timeout_s)
    verifier = make_verifier(settings)
    api_keys = open_api_keys(settings, verifier)
    audit = AuditLog(writer, store)
    metrics.add_state(writer, journal, settings.state_dir)
    deployed = StoredTaxonomy(store)
    sessions = open_sessions(settings, verifier)
    return Collaborators(
        settings, verifier, backends, record_writer, limits, audit, metrics, api_keys, deployed, sessions
    )


def make_verifier(settings: Settings) -> Verifier:
    """Return the verifier of the external issuer if one is configured, else the embedded issuer."""
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
        role_map=settings.oidc_role_map,
    )


def open_api_keys(settings: Settings, verifier: Verifier) -> ApiKeyVerifier | None:
    """Return the API keys of the state folder; None if they are turned off."""
    if not settings.api_keys:
        return None
    users = verifier.users if isinstance(verifier, EmbeddedIssuer) else None
    return ApiKeyVerifier(ApiKeyStore(settings.state_dir / KEYS_FILE), users)


def open_sessions(settings: Settings, verifier: Verifier) -> Sessions:
    """Return the sessions of browsers.

    Gateways with the same internal token accept each other's; without one, sessions end with the process.
    """
    flow = None
    if isinstance(verifier, ExternalIssuer) and settings.oidc_issuer is not None:
        flow = AuthorizationCodeFlow(
            settings.oidc_issuer,
            verifier,
            client_id=settings.oidc_client_id or settings.oidc_audience or "",
            client_secret=settings.oidc_client_secret.get_secret_value(),
            scopes=settings.oidc_scopes,
        )
    secret = settings.internal_token.get_secret_value() if settings.internal_token else secrets.token_hex()
    return Sessions(
        verifier,
        secret.encode(),
        settings.state_dir,
        ttl_s=settings.session_ttl_s,
        idle_s=settings.session_idle_s,
        flow=flow,
    )


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    configure_logging("auth-proxy")
    configure_tracing("auth-proxy")
    raise_descriptor_limit()
    collaborators = assemble(settings)
    if settings.accounts_file is not None and isinstance(collaborators.verifier, EmbeddedIssuer):
        create_demo_accounts(collaborators.verifier.users, settings.accounts_file)
    listener = listen(settings.host, settings.port)
    if settings.metrics_port:
        serve_metrics(collaborators.metrics.registry, listen(settings.metrics_host, settings.metrics_port))
    for number in (signal.SIGTERM, signal.SIGINT):
        # after its shutdown uvicorn raises the signal again, for the handler that was there before
        signal.signal(number, lambda *_: None)
    make_server(create_app(collaborators), settings).run(sockets=[listener])


def main(arguments: list[str]) -> int:
    """Run one command; return 2, with one line on standard error, if it fails."""
    options = _parse(arguments)
    try:
        settings = read_settings(Settings)
        state = options.state or settings.state_dir
        match options.command:
            case "accounts":
                create_demo_accounts(_users(state), options.file or state / "accounts.json")
            case "add-user":
                password = sys.stdin.readline().rstrip("\n") if not sys.stdin.isatty() else getpass.getpass()
                new = NewUser(name=options.name, password=password, role=options.role)
                _users(state).add(new.name, new.password, new.role)
            case "rotate-key":
                print(_keys(state, settings.token_ttl_s).rotate(revoke=options.revoke))  # noqa: T201
            case _:
                serve(settings.model_copy(update={"state_dir": state}))
    except OSError as error:
        return _fail(f"{error.strerror or error} (port {settings.port}, internal {settings.metrics_port}, {state})")
    except ValidationError as error:
        return _fail("; ".join(f"{where or 'user'}: {what}" for where, what in described(error)))
    except (ProductClassifierError, Problem, ValueError) as error:
        return _fail(str(error))
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = settings_parser("python -m inference.auth_proxy", __doc__, Settings, StoreSettings)
    parser.add_argument("--state", type=Path, help="folder of users and signing keys (AUTH_PROXY_STATE_DIR)")
    parser.set_defaults(command="serve")
    commands = parser.add_subparsers(title="commands; without one, the gateway is started")
    for name, description in {
        "accounts": "create the three demo accounts, unless they exist",
        "add-user": "create a user; the password is read from standard input",
        "rotate-key": "sign with a new key; the previous key verifies until its tokens have expired",
    }.items():
        command = commands.add_parser(name, help=description)
        command.set_defaults(command=name)
        command.add_argument("--state", type=Path, default=argparse.SUPPRESS)
        match name:
            case "accounts":
                command.add_argument(
                    "--file",
                    type=Path,
                    help="file of names, passwords and roles (default: accounts.json in the state folder)",
                )
            case "add-user":
                command.add_argument("name")
                command.add_argument("--role", choices=list(Role), default=Role.USER)
            case _:
                command.add_argument("--revoke", action="store_true", help="revoke all tokens issued before")
    return parser.parse_args(arguments)


def _users(state: Path) -> UserStore:
    return UserStore(state / USERS_FILE)


def _keys(state: Path, token_ttl_s: int) -> KeyRing:
    return KeyRing(state / "issuer-keys.json", verify_after_retirement_s=token_ttl_s + LEEWAY_S)


def _fail(reason: str) -> int:
    print(f"auth-proxy: {reason}", file=sys.stderr)  # noqa: T201
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
