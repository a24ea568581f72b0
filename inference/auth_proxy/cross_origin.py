"""Calls of the API by pages of other origins (CORS), which `AUTH_PROXY_CORS_ORIGINS` lists.

Exact origins only, and no credentials of the browser: a page sends its token itself. A preflight request carries none
and is answered before authorization; every other response, errors included, has the headers of its origin.
"""

from collections.abc import Collection

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Inference-Header-Content-Length",
    "Traceparent",
    "X-Request-Id",
)
RESPONSE_HEADERS = (
    "Allow",
    "Deprecation",
    "ETag",
    "Inference-Header-Content-Length",
    "Location",
    "Prediction-Record",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-Id",
)
"""Headers that a page may read, besides those that any page may."""
PREFLIGHT_CACHED_S = 600


def allow_origins(app: FastAPI, origins: Collection[str], methods: Collection[str]) -> None:
    """Let pages of these origins call the application, before all middleware it has."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=sorted({*methods, "HEAD"}),
        allow_headers=REQUEST_HEADERS,
        expose_headers=RESPONSE_HEADERS,
        max_age=PREFLIGHT_CACHED_S,
    )
