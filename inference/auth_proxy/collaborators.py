"""What the handlers of the gateway work with."""

from dataclasses import dataclass, field

from inference.auth_proxy.audit.audit_log import AuditLog
from inference.auth_proxy.audit.login_failures import LoginFailures
from inference.auth_proxy.auth.api_keys import PREFIX, ApiKeyVerifier
from inference.auth_proxy.auth.hashing_pool import HashingPool
from inference.auth_proxy.auth.login_limits import LoginLimits
from inference.auth_proxy.auth.sessions import Sessions
from inference.auth_proxy.auth.tokens import EmbeddedIssuer, Identity, Verifier
from inference.auth_proxy.gateway_metrics import GatewayMetrics
from inference.auth_proxy.health import Readiness
from inference.auth_proxy.predictions.backends import Backends
from inference.auth_proxy.predictions.category_list import CategoryList
from inference.auth_proxy.predictions.predictor import Predictor
from inference.auth_proxy.predictions.served_taxonomies import ServedTaxonomies
from inference.auth_proxy.rate_limits import RateLimits
from inference.auth_proxy.settings import Settings
from inference.durability.deadline import DeadlineWriter
from inference.http.body_budget import body_budget
from inference.http.concurrency_limit import ConcurrencyLimit
from inference.http.problems import Problem
from product_classifier.limits import MIB
from product_classifier.stored_taxonomy.change_store import StoredTaxonomy


@dataclass(frozen=True)
class Collaborators:
    """Objects that a deployment or a test supplies."""

    settings: Settings
    verifier: Verifier
    backends: Backends
    record_writer: DeadlineWriter
    limits: RateLimits
    audit: AuditLog
    metrics: GatewayMetrics = field(default_factory=GatewayMetrics)
    api_keys: ApiKeyVerifier | None = None
    """None: API keys are not accepted."""
    deployed_taxonomies: StoredTaxonomy | None = None
    """Those of the object store, listed while the fusion is unavailable."""
    sessions: Sessions | None = None
    """None: no session cookies are accepted."""


class GatewayDependencies:
    """The collaborators of one application and what is built from them."""

    def __init__(self, collaborators: Collaborators) -> None:
        settings = collaborators.settings
        self.settings = settings
        self.verifier = collaborators.verifier
        self.backends = collaborators.backends
        self.record_writer = collaborators.record_writer
        self.limits = collaborators.limits
        self.audit = collaborators.audit
        self.login_failures = LoginFailures(collaborators.audit)
        self.metrics = collaborators.metrics
        self._api_keys = collaborators.api_keys
        self._sessions = collaborators.sessions
        self.login_limits = LoginLimits(
            by_name_and_address=settings.login_limit,
            by_address=settings.login_address_limit,
            by_name=settings.login_name_limit,
        )
        self.hashing = HashingPool()
        self.body_budget = body_budget(settings.body_memory_mb * MIB)
        self.event_streams = ConcurrencyLimit(settings.max_event_streams, "streams of events")
        issuer = self.verifier if isinstance(self.verifier, EmbeddedIssuer) else None
        self.readiness = Readiness(
            self.backends, self.record_writer, settings.start_s, issuer=issuer, api_keys=self._api_keys
        )
        taxonomies = ServedTaxonomies(self.backends, collaborators.deployed_taxonomies)
        self.categories = CategoryList(taxonomies, collaborators.deployed_taxonomies)
        self.predictor = Predictor(
            self.backends, self.record_writer, self.metrics, taxonomies, max_in_flight=settings.max_in_flight
        )

    async def identify(self, token: str) -> Identity:
        """Return the identity of an access token or an API key; raise `TokenRejected` if not valid."""
        if self._api_keys is not None and token.startswith(PREFIX):
            return await self._api_keys.verify(token)
        return await self.verifier.verify(token)

    @property
    def api_keys(self) -> ApiKeyVerifier:
        """Return the API keys; their routes exist only if they are accepted."""
        if self._api_keys is None:
            raise TypeError("API keys are not accepted; their routes do not exist")
        return self._api_keys

    @property
    def sessions(self) -> Sessions:
        """Return the sessions of browsers."""
        if self._sessions is None:
            raise Problem(503, "session cookies are not accepted; send a bearer token", kind="not-configured")
        return self._sessions

    @property
    def issuer(self) -> EmbeddedIssuer:
        """Return the embedded issuer; its routes exist only if there is one."""
        if not isinstance(self.verifier, EmbeddedIssuer):
            raise TypeError("an external issuer is configured; there is no embedded one")
        return self.verifier
