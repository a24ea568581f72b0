"""The gateway as a FastAPI application."""

import contextlib
from collections.abc import AsyncIterator, Callable
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from inference.auth_proxy.auth.authorization import AuthorizationMiddleware
from inference.auth_proxy.auth.tokens import EmbeddedIssuer
from inference.auth_proxy.collaborators import Collaborators, GatewayDependencies
from inference.auth_proxy.cross_origin import allow_origins
from inference.auth_proxy.openapi import describe
from inference.auth_proxy.routes import routes_for
from inference.auth_proxy.routing import RouteTable

TITLE = "product-classifier"


def create_app(collaborators: Collaborators) -> FastAPI:
    """Return the application; it connects to nothing before it starts or serves a request."""
    services = GatewayDependencies(collaborators)
    embedded_issuer = isinstance(collaborators.verifier, EmbeddedIssuer)
    routes = routes_for(embedded_issuer=embedded_issuer, api_keys=collaborators.api_keys is not None)
    app = FastAPI(
        title=TITLE,
        version=version(TITLE),
        lifespan=_lifespan(services),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(AuthorizationMiddleware, table=RouteTable(routes), services=services)

    if collaborators.settings.cors_origins:
        allow_origins(app, collaborators.settings.cors_origins, {route.method for route in routes})

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = describe(
                routes,
                title=TITLE,
                version=app.version,
                embedded_issuer=embedded_issuer,
                root_path=collaborators.settings.root_path,
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it
    return app


def _lifespan(services: GatewayDependencies) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        services.record_writer.start()
        try:
            yield
        finally:
            await services.login_failures.close()
            await services.record_writer.close()
            await services.backends.close()

    return lifespan
