"""Routes that probes call."""

from inference.auth_proxy.health_handlers import check_liveness, check_readiness
from inference.auth_proxy.routing import DocumentedResponse, Rate, Route
from inference.auth_proxy.schemas import HealthView

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/healthz",
        handler=check_liveness,
        role=None,
        operation_id="check_liveness",
        tag="health",
        summary="Check that the gateway is live",
        responses={200: DocumentedResponse("The gateway is live.", HealthView)},
        rate=Rate.NONE,
        probe=True,
    ),
    Route(
        method="GET",
        path="/readyz",
        handler=check_readiness,
        role=None,
        operation_id="check_readiness",
        tag="health",
        summary="Check that predictions can be made; 200 also when degraded",
        responses={
            200: DocumentedResponse("Predictions can be made.", HealthView),
            503: DocumentedResponse("Models are starting, or none responds.", HealthView),
        },
        rate=Rate.NONE,
        probe=True,
    ),
)
