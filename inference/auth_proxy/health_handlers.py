"""Handlers of the health routes."""

from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.context import RequestContext
from inference.auth_proxy.json_handlers import HandlerResult, json_handler
from inference.auth_proxy.schemas import HealthView


@json_handler
async def check_liveness(_: GatewayDependencies, __: RequestContext) -> HandlerResult[HealthView]:
    """Return that the process serves."""
    return HandlerResult(HealthView(status="ok"))


@json_handler
async def check_readiness(services: GatewayDependencies, _: RequestContext) -> HandlerResult[HealthView]:
    """Return what responds: 200 also when degraded, 503 while models start or none responds."""
    view = await services.readiness.check()
    return HandlerResult(view, status=200 if view.status in {"ready", "degraded"} else 503)
