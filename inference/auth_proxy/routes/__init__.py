"""The route table: every public route once, one module per group."""

from inference.auth_proxy.routes import (
    account_routes,
    api_key_routes,
    audit_routes,
    batch_routes,
    documentation_routes,
    feedback_routes,
    health_routes,
    login_routes,
    model_routes,
    page_routes,
    photo_routes,
    prediction_routes,
    quality_routes,
    queue_routes,
    release_routes,
    retraining_routes,
    taxonomy_routes,
)
from inference.auth_proxy.routing import Route

ROUTES: tuple[Route, ...] = (
    *page_routes.ROUTES,
    *documentation_routes.ROUTES,
    *health_routes.ROUTES,
    *login_routes.ROUTES,
    *account_routes.ROUTES,
    *api_key_routes.ROUTES,
    *audit_routes.ROUTES,
    *prediction_routes.ROUTES,
    *photo_routes.ROUTES,
    *model_routes.ROUTES,
    *feedback_routes.ROUTES,
    *queue_routes.ROUTES,
    *batch_routes.ROUTES,
    *retraining_routes.ROUTES,
    *release_routes.ROUTES,
    *quality_routes.ROUTES,
    *taxonomy_routes.ROUTES,
)


def routes_for(*, embedded_issuer: bool, api_keys: bool) -> list[Route]:
    """Return the routes of a deployment, without those of an embedded issuer or API keys it lacks."""
    return [
        route for route in ROUTES if (embedded_issuer or not route.embedded_issuer) and (api_keys or not route.api_keys)
    ]
