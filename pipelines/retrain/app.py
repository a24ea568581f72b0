"""HTTP API of the retrain trigger: requests for a reconciliation, logs of runs, health and metrics."""

import hmac
from time import perf_counter
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException, Query, Request, Response
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.retrain.reconcile_loop import ReconcileLoop
from pipelines.retrain.run_logs import RunLogs
from product_classifier.errors import InvalidInput
from product_classifier.limits import MIB
from product_classifier.metrics import definitions
from product_classifier.metrics.instruments import CONTENT_TYPE, Durations, exposition
from product_classifier.observability import set_traceparent
from product_classifier.retraining.events import has_feedback_event
from product_classifier.retraining.run_records import RunId
from product_classifier.store.probe import StoreProbe
from product_classifier.tracing import span

EVENT_BYTES = MIB
STALE_S = 120.0
"""Age of the last reconciliation from which the process is reported unhealthy."""


def create_app(
    loop: ReconcileLoop, registry: CollectorRegistry, token: str, probe: StoreProbe, logs: RunLogs | None = None
) -> FastAPI:
    """Return the app, which exposes `registry` and `logs`, those of runs on this machine.

    `token` is the shared secret of callers, and an empty one refuses them all.
    """
    app = FastAPI(title="Retrain trigger", openapi_url=None)
    app.add_middleware(RequestMetrics, durations=Durations(definitions.HTTP_REQUEST_SECONDS, registry))

    @app.post("/reconcile", status_code=202)
    @app.post("/wake", status_code=202)  # called by feedback services of earlier versions
    async def reconcile(x_internal_token: Annotated[str, Header()] = "") -> None:
        _check_token(x_internal_token, token)
        loop.request()

    @app.post("/events", status_code=202)
    async def events(request: Request, authorization: Annotated[str, Header()] = "") -> None:
        """Accept a bucket notification of the object store."""
        _check_token(authorization.removeprefix("Bearer "), token)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > EVENT_BYTES:
                raise HTTPException(413, f"body: larger than {EVENT_BYTES} bytes; send one notification per request")
        try:
            if has_feedback_event(body):
                loop.request()
        except InvalidInput as error:
            raise HTTPException(400, str(error)) from error

    @app.get("/runs/{run_id}/log")
    def run_log(
        run_id: RunId,
        offset: Annotated[int, Query(ge=0, lt=2**63)] = 0,
        x_internal_token: Annotated[str, Header()] = "",
    ) -> Response:
        """Return a part of the log of a run, from an offset in bytes; empty at its end."""
        _check_token(x_internal_token, token)
        part = logs.read(run_id, offset) if logs is not None else None
        if part is None:
            raise HTTPException(404, f"run_id: {run_id} has no log on this machine")
        return Response(part, media_type="text/plain; charset=utf-8")

    _add_health(app, loop, registry, probe)
    return app


class RequestMetrics:
    """ASGI middleware that measures and traces each request."""

    def __init__(self, app: ASGIApp, durations: Durations) -> None:
        self._app = app
        self._durations = durations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = perf_counter(), 500

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        set_traceparent(dict(scope["headers"]).get(b"traceparent", b"").decode("latin-1"))
        try:
            with span(f"{scope['method']} {scope['path']}", "server") as opened:
                await self._app(scope, receive, send_and_note)
                opened.set_status(status)
        finally:
            route = getattr(scope.get("route"), "path", None)
            self._durations.observe(
                perf_counter() - started, route or "unknown", scope["method"] if route else "other", status
            )


def _add_health(app: FastAPI, loop: ReconcileLoop, registry: CollectorRegistry, probe: StoreProbe) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, float]:
        age_s = loop.age_s
        if age_s > STALE_S:
            raise HTTPException(503, f"the last reconciliation was {age_s:.0f} s ago; restart the process")
        return {"last_reconciliation_s": round(age_s, 1)}

    @app.get("/readyz")
    def readyz() -> dict[str, bool]:
        """Return whether the store can be written, without which no run is claimed."""
        if not probe.check():
            raise HTTPException(503, "store: cannot be written; the log names the reason")
        return {"store": True}

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(exposition(registry), headers={"Content-Type": CONTENT_TYPE})


def _check_token(given: str, token: str) -> None:
    """Raise 401 unless the token is the shared secret."""
    if not token or not hmac.compare_digest(given.encode(), token.encode()):
        raise HTTPException(401, "the internal token is missing or wrong; send the value of RETRAIN_TOKEN")
