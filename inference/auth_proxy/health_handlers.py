"""Handlers of the health routes."""

from inference.auth_proxy.context import RequestContext
from inference.auth_proxy.json_handlers import Result, json_handler
from inference.auth_proxy.schemas import HealthView
from inference.auth_proxy.services import Services


@json_handler
async def check_liveness(_: Services, __: RequestContext) -> Result[HealthView]:
    """Return that the process serves."""
    return Result(HealthView(status="ok"))


@json_handler
async def check_readiness(services: Services, _: RequestContext) -> Result[HealthView]:
    """Return what responds: 200 also when degraded, 503 while models start or none responds."""
    view = await services.readiness.check()
    return Result(view, status=200 if view.status in {"ready", "degraded"} else 503)
