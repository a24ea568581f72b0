"""HTTP API of the retrain trigger: requests for a reconciliation, health and metrics."""

import hmac
from time import monotonic
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException, Request, Response

from pipelines.retrain.reconcile_loop import ReconcileLoop
from product_classifier.errors import InvalidInput
from product_classifier.limits import MIB
from product_classifier.observability import dropped_log_lines
from product_classifier.retraining.events import has_feedback_event
from product_classifier.retraining.trigger import Trigger
from product_classifier.store.probe import StoreProbe

EVENT_BYTES = MIB
STALE_S = 120.0
"""Age of the last reconciliation from which the process is reported unhealthy."""


def create_app(loop: ReconcileLoop, trigger: Trigger, token: str, probe: StoreProbe) -> FastAPI:
    """Return the app; `token` is the shared secret of callers, and an empty one refuses them all."""
    app = FastAPI(title="Retrain trigger", openapi_url=None)

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

    _add_health(app, loop, trigger, probe)
    return app


def _add_health(app: FastAPI, loop: ReconcileLoop, trigger: Trigger, probe: StoreProbe) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, float]:
        age_s = monotonic() - loop.reconciled_at
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
        lines = [f'retrain_steps_total{{step="{step}"}} {count}' for step, count in sorted(loop.steps.items())]
        lines.append(f"retrain_corrections_damaged {trigger.feedback_index.damaged_count()}")
        lines.append(f"log_lines_dropped_total {dropped_log_lines()}")
        return Response("\n".join([*lines, ""]), media_type="text/plain; version=0.0.4")


def _check_token(given: str, token: str) -> None:
    """Raise 401 unless the token is the shared secret."""
    if not token or not hmac.compare_digest(given.encode(), token.encode()):
        raise HTTPException(401, "the internal token is missing or wrong; send the value of RETRAIN_TOKEN")
