"""A gateway on a real port in front of fake services, and people with tokens."""

import base64
import io
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import structlog
from PIL import Image
from pydantic import SecretStr

from inference.auth_proxy.__main__ import PROBE_KEY, make_verifier, open_api_keys, open_sessions
from inference.auth_proxy.app import create_app
from inference.auth_proxy.audit.audit_log import AuditLog
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.tokens import EmbeddedIssuer
from inference.auth_proxy.collaborators import Collaborators
from inference.auth_proxy.gateway_metrics import GatewayMetrics
from inference.auth_proxy.predictions.backends import Backends
from inference.auth_proxy.rate_limits import RateLimits
from inference.auth_proxy.server import listen, make_server
from inference.auth_proxy.settings import Settings
from inference.durability.deadline import DeadlineWriter
from inference.durability.writer import DurableWriter
from inference.feedback_service.app import create_app as create_feedback_app
from inference.feedback_service.settings import Settings as FeedbackSettings
from product_classifier.model_names import MODELS
from product_classifier.store.journal import Journal
from product_classifier.stored_taxonomy.change_store import StoredTaxonomy
from tests.support.fake_models import FakeFeedback, FakeModels, running, served
from tests.support.fakes import FakeStore
from tests.support.model_servers import RunningServer

PASSWORD = "correct horse battery"
INTERNAL = "i" * 40
USER_ROLES = {"ursula": Role.USER, "remy": Role.REVIEWER, "ada": Role.ADMIN}


@dataclass
class Gateway:
    """A running gateway with everything around it."""

    url: str
    port: int
    issuer: EmbeddedIssuer
    models: FakeModels
    feedback: FakeFeedback
    store: FakeStore
    metrics: GatewayMetrics
    record_writer: DeadlineWriter
    state: Path

    def token(self, name: str = "ursula") -> str:
        user = self.issuer.users.get(name)
        assert user
        return self.issuer.issue(user)

    def headers(self, name: str = "ursula") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(name)}"}

    def client(self, name: str | None = "ursula") -> httpx.Client:
        return httpx.Client(
            base_url=self.url, headers=self.headers(name) if name else {}, timeout=20, trust_env=False, verify=False
        )


def start(
    state: Path, urls: Mapping[str, str] | None = None, store: FakeStore | None = None, **changes: object
) -> Iterator[Gateway]:
    """Run a gateway before fake services; `urls` names real ones to use in their place."""
    models, feedback, store, metrics = FakeModels(), FakeFeedback(), store or FakeStore(), GatewayMetrics()
    options = {
        "state_dir": state,
        "rate_limit": "100000/second",
        "login_limit": "5/minute",
        "internal_token": INTERNAL,
        "header_timeout_s": 1.0,
        "body_timeout_s": 1.0,
        "backend_timeout_s": 2.0,
        **changes,
    }
    with served(models.app()) as models_url, served(feedback.app()) as feedback_url:
        settings = Settings(feedback_url=feedback_url, **options)  # type: ignore[arg-type]
        issuer = make_verifier(settings)
        assert isinstance(issuer, EmbeddedIssuer)
        for name, role in USER_ROLES.items():
            issuer.users.add(name, PASSWORD, role)
        journal = Journal(state / "journal", max_bytes=1 << 20)
        writer = DurableWriter(store, journal, probe_key=PROBE_KEY, max_pause_s=2.0, index_pending=False)
        record_writer = DeadlineWriter(
            writer,
            deadline_s=0.5,
            max_backlog_bytes=1 << 24,
            count=metrics.count_record,
            set_backlog=metrics.record_backlog.set,
        )
        limits = RateLimits(products=settings.rate_limit, megapixels=settings.megapixel_limit)
        services = dict.fromkeys(MODELS, models_url) | {"feedback-service": feedback_url} | dict(urls or {})
        backends = Backends(services, settings.backend_timeout_s)
        api_keys = open_api_keys(settings, issuer)
        audit = AuditLog(writer, store)
        deployed = StoredTaxonomy(store)
        sessions = open_sessions(settings, issuer)
        app = create_app(
            Collaborators(
                settings, issuer, backends, record_writer, limits, audit, metrics, api_keys, deployed, sessions
            )
        )
        listener = listen("127.0.0.1", 0)
        with running(make_server(app, settings), sockets=[listener]) as port:
            url = f"http://127.0.0.1:{port}"
            yield Gateway(url, port, issuer, models, feedback, store, metrics, record_writer, state)


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> Iterator[None]:
    """No log lines from here: unconfigured, structlog paints tracebacks, which takes most of a second each."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    yield from start(tmp_path_factory.mktemp("gateway"))


@pytest.fixture
def gateway(shared: Gateway) -> Iterator[Gateway]:
    """The shared gateway, its fakes in their first state."""
    shared.models.seen.clear()
    shared.feedback.seen.clear()
    yield shared
    shared.models.silent = set()
    shared.models.away = False
    shared.models.cannot_explain = False
    shared.models.delay_s = 0.0
    shared.models.taxonomy = None
    shared.models.status = shared.feedback.status = 0
    shared.feedback.responses = {}
    shared.store.away = False


@pytest.fixture
def own_gateway(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """A gateway of the test's own; parametrize indirectly with settings."""
    yield from start(tmp_path, **getattr(request, "param", {}))


@pytest.fixture(scope="module")
def whole_gateway(servers: dict[str, RunningServer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with the model servers and a feedback service on the same store."""
    store = FakeStore()
    journal = Journal(tmp_path_factory.mktemp("journal"), max_bytes=1 << 20)
    feedback = create_feedback_app(store, journal, FeedbackSettings(internal_token=SecretStr(INTERNAL)))
    with served(feedback, lifespan="on") as feedback_url:
        urls = {name: server.url for name, server in servers.items()} | {"feedback-service": feedback_url}
        yield from start(tmp_path_factory.mktemp("gateway"), urls, store, backend_timeout_s=20.0, body_timeout_s=20.0)


@pytest.fixture(scope="session")
def photo() -> bytes:
    return make_photo("JPEG")


def make_photo(kind: str, mode: str = "RGB", size: tuple[int, int] = (32, 24)) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, 120).save(out, kind)
    return out.getvalue()


def as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
