"""The gateway as a FastAPI application, put together from its collaborators."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, NoReturn

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from inference.auth_proxy import openapi, pages
from inference.auth_proxy.auth import accounts
from inference.auth_proxy.auth.guard import Guard
from inference.auth_proxy.auth.tokens import EmbeddedIssuer, Verifier
from inference.auth_proxy.endpoints import BodyReader, Endpoint, Feedback, Models, Predict, PredictBatch
from inference.auth_proxy.metrics import Metrics
from inference.auth_proxy.predictions.backends import Backends
from inference.auth_proxy.predictions.predict import Predictor
from inference.auth_proxy.rate_limits import RateLimits
from inference.auth_proxy.settings import Settings
from inference.durability.deadline import DeadlineWriter
from inference.http.problems import Problem
from product_classifier.errors import ProductClassifierError

TITLE = "product-classifier"


@dataclass(frozen=True)
class Collaborators:
    """What the gateway works with; a test puts fakes here."""

    settings: Settings
    verifier: Verifier
    backends: Backends
    record_writer: DeadlineWriter
    limits: RateLimits
    metrics: Metrics = field(default_factory=Metrics)


def create_app(collaborators: Collaborators) -> FastAPI:
    """Return the application; nothing is opened before its first request or its start."""
    app = FastAPI(
        title=TITLE,
        version=version("product-classifier"),
        lifespan=_lifespan(collaborators),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    hot = _hot_routes(collaborators, app.version)
    for path, endpoint in hot.items():
        app.router.add_route(path, endpoint, include_in_schema=False)  # type: ignore[arg-type]
    readiness = pages.Readiness(collaborators.backends, collaborators.record_writer, collaborators.settings.start_s)
    app.include_router(pages.make_router(readiness))
    if isinstance(collaborators.verifier, EmbeddedIssuer):
        app.include_router(accounts.make_router(collaborators.verifier, collaborators.limits, collaborators.metrics))
    app.add_exception_handler(HTTPException, _raise_problem)
    app.add_exception_handler(RequestValidationError, _raise_problem)
    app.add_middleware(
        Guard,
        verifier=collaborators.verifier,
        limits=collaborators.limits,
        metrics=collaborators.metrics,
        body_limit=collaborators.settings.body_limit,
        allowed_hosts=collaborators.settings.allowed_hosts,
        hot=hot,
    )
    openapi.install(app, embedded_issuer=isinstance(collaborators.verifier, EmbeddedIssuer))
    return app


def _hot_routes(collaborators: Collaborators, release: str) -> dict[str, Endpoint]:
    settings = collaborators.settings
    read = BodyReader(settings.body_limit, settings.body_timeout_s)
    predictor = Predictor(
        collaborators.backends, collaborators.record_writer, collaborators.metrics, max_in_flight=settings.max_in_flight
    )
    models = Models(collaborators.backends, predictor, read, release)
    feedback = Feedback(collaborators.backends, settings.internal_token, read)
    return {
        "/predict": Predict(predictor, read),
        "/predict/batch": PredictBatch(predictor, collaborators.limits, read),
        "/v2": models,
        "/v2/{rest:path}": models,
        "/v1/{rest:path}": models,
        "/feedback": feedback,
        "/feedback/{rest:path}": feedback,
        "/retrain": feedback,
        "/retrain/{rest:path}": feedback,
    }


def _lifespan(collaborators: Collaborators) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        collaborators.record_writer.start()
        try:
            yield
        finally:
            await collaborators.record_writer.close()
            await collaborators.backends.close()

    return lifespan


async def _raise_problem(_: Request, error: Exception) -> NoReturn:
    if isinstance(error, HTTPException):
        raise Problem(error.status_code, str(error.detail), headers=error.headers) from error
    if isinstance(error, RequestValidationError):
        raise Problem(422, str(error.errors()[0]["msg"]), kind="invalid-input") from error
    raise ProductClassifierError from error
